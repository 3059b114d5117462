"""What the sandbox remembers, in one SQLite file that survives being killed."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

type Value = str | int | None

_SCHEMA = Path(__file__).with_name("schema.sql")


def now_text() -> str:
    """Now, as RFC 3339 in UTC with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Store:
    """The file. Used from the event loop's thread only; no transaction waits for anything, so each is atomic."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._db = sqlite3.connect(folder / "sandbox.db", isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.executescript(_SCHEMA.read_text())

    def all(self, sql: str, *values: Value) -> list[sqlite3.Row]:
        """Every row."""
        return self._db.execute(sql, values).fetchall()

    def one(self, sql: str, *values: Value) -> sqlite3.Row | None:
        """The first row, if there is one."""
        row: sqlite3.Row | None = self._db.execute(sql, values).fetchone()
        return row

    def run(self, sql: str, *values: Value) -> int:
        """Changes something; how many rows it changed. Raises sqlite3.IntegrityError where a row is there already."""
        return self._db.execute(sql, values).rowcount

    def insert(self, table: str, **values: Value) -> None:
        """Adds a row. Raises sqlite3.IntegrityError where it is there already."""
        marks = ", ".join("?" * len(values))
        # The names are this package's own; what comes from outside is bound.
        self._db.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", tuple(values.values()))  # noqa: S608

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, and on disk when it ends."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def close(self) -> None:
        """Folds the journal into the file."""
        self._db.close()
