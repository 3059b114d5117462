"""Properties of a compiled statement: changes, locks and insertions. Its summary is tested with `Statement`."""

import pytest

from services.runtime.storage.statements.statement_summary import find_inserted_tables, is_read_without_locks


@pytest.mark.parametrize(
    ("sql", "is_read"),
    [
        (b"SELECT loans.updated_at FROM loans WHERE loans.deleted = false", True),
        (b"SELECT for_update FROM loans", True),
        (b"SELECT loans.id FROM loans FOR UPDATE SKIP LOCKED", False),
        (b"SELECT loans.id FROM loans FOR SHARE", False),
        (b"SELECT loans.id FROM loans FOR KEY SHARE", False),
        (b"SELECT pg_advisory_xact_lock(1)", False),
        (b"SELECT pg_try_advisory_xact_lock(1)", False),
        (b"WITH added AS (INSERT INTO loans (id) VALUES (1)) SELECT added.id FROM added", False),
        (b"UPDATE loans SET state='lent'", False),
        (b"DELETE FROM loans", False),
    ],
)
def test_read_without_locks_is_recognised(sql: bytes, is_read: bool) -> None:
    assert is_read_without_locks(sql) is is_read


def test_inserted_tables_include_those_of_common_table_expressions() -> None:
    sql = b"WITH added AS (INSERT INTO loans (id) VALUES (1) RETURNING loans.id) INSERT INTO outbox (id) SELECT 1"
    assert find_inserted_tables(sql) == {"loans", "outbox"}
