"""State of the sandbox, in one SQLite file that survives a crash."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

type SqlValue = str | int | None

_SCHEMA = Path(__file__).with_name("schema.sql")


def format_now() -> str:
    """Return the current time in UTC as RFC 3339 with milliseconds."""
    return format_time(datetime.now(UTC))


def format_time(at: datetime) -> str:
    """Return a time in UTC as RFC 3339 with milliseconds; such texts are ordered like their times."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class SqliteDatabase:
    """SQLite database, used only from the event loop's thread.

    No transaction awaits anything, so transactions never interleave.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._connection = sqlite3.connect(folder / "sandbox.db", isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.executescript(_SCHEMA.read_text(encoding="utf-8"))

    def fetch_all(self, sql: str, *values: SqlValue) -> list[sqlite3.Row]:
        """Return all rows."""
        return self._connection.execute(sql, values).fetchall()

    def fetch_one(self, sql: str, *values: SqlValue) -> sqlite3.Row | None:
        """Return the first row, or None."""
        row: sqlite3.Row | None = self._connection.execute(sql, values).fetchone()
        return row

    def execute(self, sql: str, *values: SqlValue) -> int:
        """Execute a statement and return the number of changed rows. Raises sqlite3.IntegrityError for a duplicate."""
        return self._connection.execute(sql, values).rowcount

    def insert(self, table: str, **values: SqlValue) -> None:
        """Insert a row. Raises sqlite3.IntegrityError for a duplicate row."""
        columns, placeholders = ", ".join(values), ", ".join("?" * len(values))
        # Table and column names are constants of this package; values are bound.
        sql = f"INSERT INTO {table} ({columns}) VALUES ({placeholders})"  # noqa: S608
        self._connection.execute(sql, tuple(values.values()))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run the block in a transaction, which is on disk when the block ends."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def close(self) -> None:
        """Close the database, which merges the journal into the file."""
        self._connection.close()
