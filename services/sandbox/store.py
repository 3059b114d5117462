"""What the sandbox remembers, in one SQLite file that survives being killed."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

type SqlValue = str | int | None

_SCHEMA = Path(__file__).with_name("schema.sql")


def now_rfc3339() -> str:
    """Now, as RFC 3339 in UTC with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class SqliteDatabase:
    """The file. Used from the event loop's thread only; no transaction waits for anything, so each is atomic."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._connection = sqlite3.connect(folder / "sandbox.db", isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.executescript(_SCHEMA.read_text())

    def fetch_all(self, sql: str, *values: SqlValue) -> list[sqlite3.Row]:
        """Every row."""
        return self._connection.execute(sql, values).fetchall()

    def fetch_one(self, sql: str, *values: SqlValue) -> sqlite3.Row | None:
        """The first row, if there is one."""
        row: sqlite3.Row | None = self._connection.execute(sql, values).fetchone()
        return row

    def execute(self, sql: str, *values: SqlValue) -> int:
        """Changes something; how many rows it changed. Raises sqlite3.IntegrityError where a row is there already."""
        return self._connection.execute(sql, values).rowcount

    def insert(self, table: str, **values: SqlValue) -> None:
        """Adds a row. Raises sqlite3.IntegrityError where it is there already."""
        marks = ", ".join("?" * len(values))
        # The names are this package's own; what comes from outside is bound.
        self._connection.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", tuple(values.values()))  # noqa: S608

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, and on disk when it ends."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def close(self) -> None:
        """Folds the journal into the file."""
        self._connection.close()
