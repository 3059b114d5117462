"""Combination of data-modifying statements into one."""

from typing import Any

from sqlalchemy import Column, MetaData, Table, Text, bindparam, delete, insert, select, update

from services.runtime.storage.statements.combined_statements import (
    DeferredStatement,
    combine,
    combine_values,
    combine_with_conditions,
    split_combinable,
)
from services.runtime.storage.statements.statement import Statement, build_upsert

metadata = MetaData()
orders = Table("orders", metadata, Column("id", Text, primary_key=True), Column("state", Text))
changes = Table("changes", metadata, Column("order_id", Text))
outbox = Table("outbox", metadata, Column("id", Text))
_updated = (
    update(orders)
    .where(orders.c.id == bindparam("key"))
    .values(state=bindparam("state"))
    .returning(orders.c.id)
    .cte("u")
)
UPDATE = Statement(update(orders).where(orders.c.id == bindparam("key")).values(state=bindparam("state")))
UPDATE_WITH_CHANGE = Statement(insert(changes).from_select(["order_id"], select(_updated.c.id)))
UPSERT = build_upsert(orders)
DELETE = Statement(delete(orders).where(orders.c.id == bindparam("key")))
INSERT = Statement(insert(outbox).values(id=bindparam("key")))
INSERT_RETURNING = Statement(insert(changes).values(order_id=bindparam("key")).returning(changes.c.order_id))


def squeeze(*statements: Statement[Any]) -> str:
    return " ".join(combine(statements).sql.decode().split())


def test_combined_statement_separates_parameters_and_counts_rows() -> None:
    assert squeeze(UPDATE, INSERT_RETURNING) == (
        "WITH s0 AS (UPDATE orders SET state=%(p0_state)s::VARCHAR WHERE orders.id = %(p0_key)s::VARCHAR RETURNING 1),"
        " s1 AS (INSERT INTO changes (order_id) VALUES (%(p1_key)s::VARCHAR) RETURNING changes.order_id)"
        " SELECT ARRAY[(SELECT count(*) FROM s0), (SELECT count(*) FROM s1)] AS row_counts"
    )


def test_combined_statement_fails_if_a_part_that_must_change_rows_does_not() -> None:
    sql = " ".join(combine_with_conditions((UPDATE, INSERT), (True, False)).sql.decode().split())
    assert sql == (
        "WITH s0 AS (UPDATE orders SET state=%(p0_state)s::VARCHAR WHERE orders.id = %(p0_key)s::VARCHAR RETURNING 1),"
        " s1 AS (INSERT INTO outbox (id) VALUES (%(p1_key)s::VARCHAR)) SELECT 1 / (SELECT count(*) FROM s0)"
    )


def test_combined_statement_without_conditions_counts_no_rows() -> None:
    assert combine_with_conditions((INSERT, INSERT), (False, False)).sql.endswith(b") SELECT 1")


def test_cte_of_combined_statement_is_on_the_top_level() -> None:
    assert squeeze(INSERT, UPDATE_WITH_CHANGE).startswith(
        "WITH s0 AS (INSERT INTO outbox (id) VALUES (%(p0_key)s::VARCHAR) RETURNING 1),"
        " u AS (UPDATE orders SET state=%(p1_state)s::VARCHAR WHERE orders.id = %(p1_key)s::VARCHAR"
        " RETURNING orders.id),"
        " s1 AS (INSERT INTO changes (order_id) SELECT u.id FROM u RETURNING 1) SELECT"
    )


def test_combined_statement_is_measured_by_its_first_table() -> None:
    combined = combine((UPDATE_WITH_CHANGE, INSERT, INSERT))
    assert (combined.operation, combined.collection) == ("UPDATE", "orders")
    assert combined.summary == "UPDATE orders INSERT outbox"


def test_values_have_the_parameter_names_of_the_combined_statement() -> None:
    deferred = [
        DeferredStatement(UPDATE, {"key": "a", "state": "b"}, None),
        DeferredStatement(INSERT, {"key": 1}, None),
    ]
    assert combine_values(deferred) == {"p0_key": "a", "p0_state": "b", "p1_key": 1}


def test_statements_that_may_change_the_same_row_are_not_combined() -> None:
    statements = (UPDATE, INSERT, INSERT, UPSERT, INSERT, DELETE, UPDATE_WITH_CHANGE)
    groups = split_combinable([DeferredStatement(statement, {}, None) for statement in statements])
    assert [[each.statement for each in group] for group in groups] == [
        [UPDATE, INSERT, INSERT],
        [UPSERT, INSERT],
        [DELETE],
        [UPDATE_WITH_CHANGE],
    ]
