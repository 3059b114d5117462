"""SQLite database: transactions, limits of tables, and persistence."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.sandbox.store import SqliteDatabase, format_now


def test_transaction_rolls_back_on_error(database: SqliteDatabase) -> None:
    def insert_duplicate() -> None:
        with database.transaction():
            for _ in range(2):
                database.insert("secrets", owner="bank:visa", secret="x")

    with pytest.raises(sqlite3.IntegrityError):
        insert_duplicate()
    assert database.fetch_one("SELECT * FROM secrets") is None


def test_database_is_usable_after_a_rollback(database: SqliteDatabase) -> None:
    with pytest.raises(KeyError), database.transaction():
        raise KeyError
    with database.transaction():
        database.insert("secrets", owner="bank:visa", secret="x")
    assert len(database.fetch_all("SELECT * FROM secrets")) == 1


def test_mails_table_size_is_bounded(database: SqliteDatabase) -> None:
    with database.transaction():
        for number in range(10_010):
            database.insert("mails", address="a@b.test", subject=str(number), text="", html="", received_at="")
    mails = database.fetch_all("SELECT subject FROM mails ORDER BY id")
    assert len(mails) == 10_000
    assert mails[-1]["subject"] == "10009"


def test_committed_rows_survive_a_restart(tmp_path: Path) -> None:
    for expected in (0, 1):
        database = SqliteDatabase(tmp_path / "state")
        assert len(database.fetch_all("SELECT * FROM secrets")) == expected
        if not expected:
            database.insert("secrets", owner="bank:visa", secret="x")
        database.close()


def test_folder_is_accessible_to_owner_only(tmp_path: Path) -> None:
    SqliteDatabase(tmp_path / "a/state").close()
    assert (tmp_path / "a/state").stat().st_mode & 0o777 == 0o700


def test_number_of_changed_rows_is_returned(database: SqliteDatabase) -> None:
    for owner in ("a", "b"):
        database.insert("secrets", owner=owner, secret="x")
    assert database.execute("UPDATE secrets SET secret = ? WHERE owner = ?", "y", "a") == 1
    assert database.execute("DELETE FROM secrets") == 2


def test_values_are_bound_and_not_part_of_sql(database: SqliteDatabase) -> None:
    owner = "x'; DROP TABLE secrets; --"
    database.insert("secrets", owner=owner, secret="x")
    row = database.fetch_one("SELECT owner FROM secrets WHERE owner = ?", owner)
    assert row is not None
    assert row["owner"] == owner


def test_time_is_rfc3339_in_utc_with_milliseconds() -> None:
    text = format_now()
    assert text.endswith("Z")
    assert len(text) == len("2026-01-01T00:00:00.000Z")
    assert abs(datetime.fromisoformat(text) - datetime.now(UTC)).total_seconds() < 60
