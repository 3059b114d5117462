"""Statements that are compiled at import: summaries, parameters and rows."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Column, MetaData, Table, Text, bindparam, delete, func, insert, literal, select, text, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql.elements import ClauseElement

from services.runtime.storage.statements.statement import (
    DELETE_BATCH_SIZE,
    Statement,
    build_batch_delete,
    build_upsert,
)

orders = Table("orders", MetaData(), Column("id", Text, primary_key=True), Column("state", Text))
lines = Table("lines", MetaData(), Column("order_id", Text))
_inserted = insert(orders).values(id=bindparam("id")).returning(orders.c.id).cte("inserted")
_due = select(orders.c.id).where(orders.c.state == bindparam("was")).with_for_update().cte("due")


@pytest.mark.parametrize(
    ("statement", "summary"),
    [
        (select(orders), "SELECT orders"),
        (select(orders).join(lines, lines.c.order_id == orders.c.id), "SELECT orders"),
        (select(select(orders).subquery()), "SELECT orders"),
        (insert(orders).values(id=bindparam("id")), "INSERT orders"),
        (postgresql.insert(orders).values(id="1").on_conflict_do_nothing(), "INSERT orders"),
        (update(orders).where(orders.c.id.in_(select(_due.c.id))).values(state="b"), "UPDATE orders"),
        (insert(lines).from_select(["order_id"], select(_inserted.c.id)), "INSERT orders"),
        (delete(orders), "DELETE orders"),
        (select(func.pg_advisory_xact_lock(1)), "SELECT pg_advisory_xact_lock"),
        (text("VACUUM"), "VACUUM"),
    ],
)
def test_statement_summary_is_operation_and_table(statement: ClauseElement, summary: str) -> None:
    assert Statement(statement).summary == summary


class Order(NamedTuple):
    """Row of the table `orders`."""

    id: str
    state: str


def squeeze(statement: Statement[Any]) -> str:
    return " ".join(statement.sql.decode().split())


def test_row_is_read_as_its_type_or_dict() -> None:
    row: dict[str, Any] = {"id": "o1", "state": "paid"}
    assert Statement(select(orders), row_type=Order).read_row(row) == Order("o1", "paid")
    assert Statement(select(orders)).read_row(row) is row


def test_constants_of_the_source_code_are_literals() -> None:
    statement = Statement(select(orders).where(orders.c.id == bindparam("id"), orders.c.state == "pa'%id").limit(5))
    assert statement.defaults == {}
    assert squeeze(statement).endswith(
        "orders.id = %(id)s::VARCHAR AND orders.state = 'pa''%%id'::VARCHAR LIMIT 5::INTEGER"
    )


def test_literal_that_looks_like_a_parameter_is_unchanged() -> None:
    statement = Statement(select(orders.c.id).where(orders.c.id == "%(state_1)s", orders.c.state == "paid"))
    assert squeeze(statement).endswith("orders.id = '%%(state_1)s'::VARCHAR AND orders.state = 'paid'::VARCHAR")


def test_named_parameter_with_default_is_not_a_literal() -> None:
    statement = Statement(select(orders).where(orders.c.state == bindparam("state", "paid")))
    assert statement.defaults == {"state": "paid"}
    assert squeeze(statement).endswith("orders.state = %(state)s::VARCHAR")


def test_constant_without_literal_is_a_default_parameter() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    assert Statement(select(literal(at))).defaults == {"param_1": at}


def test_upsert_updates_all_columns_except_the_key() -> None:
    sql = squeeze(build_upsert(orders))
    assert sql.startswith(
        "INSERT INTO orders (id, state) VALUES (%(id)s::VARCHAR, %(state)s::VARCHAR) ON CONFLICT (id)"
    )
    assert sql.endswith("DO UPDATE SET state = excluded.state")


def test_batch_delete_is_bounded_and_skips_locked_rows() -> None:
    pairs = Table("pairs", MetaData(), Column("a", Text, primary_key=True), Column("b", Text, primary_key=True))
    statement = build_batch_delete(pairs, pairs.c.a < bindparam("before"))
    sql = squeeze(statement)
    assert "FOR UPDATE SKIP LOCKED" in sql
    assert f"LIMIT {DELETE_BATCH_SIZE}" in sql
    assert sql.endswith('WHERE pairs.a = "old".a AND pairs.b = "old".b'), "all columns of the key identify a row"
    assert statement.summary == "DELETE pairs"


def test_inserted_tables_are_those_of_all_parts() -> None:
    statement = insert(lines).from_select(["order_id"], select(_inserted.c.id))
    assert Statement(statement).inserted_tables == {"orders", "lines"}
    assert Statement(select(orders)).inserted_tables == frozenset()
