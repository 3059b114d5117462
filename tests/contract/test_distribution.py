"""Statements of orders on a distributed database, as docs/scale.md lists them.

A statement concerns one shard if it compares the distribution column of each distributed table with a parameter, or
inserts a row. Citus locks rows of one shard only, and joins distributed tables by their distribution columns only.
"""

import importlib
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from services.orders.adapters.postgres import (
    banks,
    deliverer_positions,
    orders,
    partner_acknowledgements,
    payments,
    reconciliation,
    refunds,
    repository,
)
from services.orders.adapters.postgres.tables import metadata
from services.runtime.messaging import inbox, outbox
from services.runtime.storage import advisory_lock, idempotency
from services.runtime.storage.statements.statement import Statement
from tests.scale_document import REPLICATED, find_names, iter_rows, read_distribution

MODULES = (
    *(banks, deliverer_positions, orders, partner_acknowledgements, payments, reconciliation, refunds, repository),
    *(inbox, outbox, idempotency, advisory_lock),
)
ONE_SHARD, ALL_SHARDS, CHANGES, LOCKS = "One shard", "All shards", "Changes", "Locks and notifications"
TRANSITION_STATEMENTS = (
    *("orders._SELECT_ORDER_FOR_UPDATE", "orders._INSERT_ORDER", "orders._UPDATE_ORDER"),
    *("deliverer_positions._DELETE_POSITION", "outbox._INSERT"),
)
"""Statements that change an order, with its transition and its event."""

ORDER_TABLES = ("orders", "order_transitions", "deliverer_positions", "outbox")
"""Tables with the rows of one order; their distribution columns contain its id."""


def find_statements(value: Any) -> Iterator[Statement[Any]]:
    """Yield the statement, or those of a collection."""
    if isinstance(value, Statement):
        yield value
    elif isinstance(value, dict):
        yield from find_statements([*value.values()])
    elif isinstance(value, list | tuple):
        for each in value:
            yield from find_statements(each)


def list_statements() -> dict[str, list[str]]:
    """Return the SQL of the statements by module and constant."""
    statements: dict[str, list[str]] = {}
    for module in MODULES:
        for name, value in vars(importlib.import_module(module.__name__)).items():
            if sql := [" ".join(statement.sql.decode().split()) for statement in find_statements(value)]:
                statements[f"{module.__name__.rpartition('.')[2]}.{name}"] = sql
    return statements


@cache
def list_tables(sql: str) -> list[str]:
    """Return the tables of a statement."""
    return [name for name in metadata.tables if re.search(rf"\b(FROM|JOIN|INTO|UPDATE|,) {name}\b(?!\.)", sql)]


def is_of_one_shard(sql: str, table: str, column: str) -> bool:
    """Return whether a statement concerns the rows of a distributed table with one value of its column."""
    return bool(
        re.search(rf"\b{table}\.{column} = %\(\w+\)s", sql)
        or re.search(rf"INSERT INTO {table} \([^)]*\b{column}\b[^)]*\) VALUES", sql)
        # The row of a CTE that has inserted or updated one order.
        or re.search(rf"INSERT INTO {table} \([^)]*\) SELECT .* FROM (inserted|updated)$", sql)  # noqa: S608 (a pattern)
    )


def classify(sql: str, columns: dict[str, str]) -> str:
    """Return the heading of docs/scale.md for a statement."""
    tables = list_tables(sql)
    if not tables:
        return LOCKS
    pinned = [is_of_one_shard(sql, name, columns[name]) for name in tables if columns[name] != REPLICATED]
    if all(pinned):
        return ONE_SHARD
    return CHANGES if any(pinned) or "FOR UPDATE" in sql else ALL_SHARDS


def read_section(heading: str) -> set[str]:
    """Return the statements of a section, by module and constant."""
    return {
        f"{module.strip('`')}.{name}"
        for module, statements, *_ in iter_rows(heading)
        for name in find_names(statements)
        if name.startswith("_")
    }


def test_every_table_has_a_distribution() -> None:
    assert read_distribution().keys() == metadata.tables.keys()


@pytest.mark.parametrize("heading", [ONE_SHARD, ALL_SHARDS, CHANGES, LOCKS])
def test_document_lists_the_statements_of_each_kind(heading: str) -> None:
    columns = read_distribution()
    kinds = {name: {classify(sql, columns) for sql in variants} for name, variants in list_statements().items()}
    assert all(len(kind) == 1 for kind in kinds.values())
    assert read_section(heading) == {name for name, kind in kinds.items() if kind == {heading}}


def test_transition_of_an_order_concerns_one_shard() -> None:
    columns, statements = read_distribution(), list_statements()
    for name in TRANSITION_STATEMENTS:
        for sql in statements[name]:
            assert {*list_tables(sql)} <= {*ORDER_TABLES}, name
            assert classify(sql, columns) == ONE_SHARD, name


@pytest.mark.parametrize(
    ("sql", "heading"),
    [
        ("SELECT orders.id FROM orders WHERE orders.id = %(id)s::VARCHAR FOR UPDATE", ONE_SHARD),
        ("SELECT orders.id FROM orders WHERE orders.version = %(version)s::VARCHAR FOR UPDATE", CHANGES),
        ("SELECT orders.id FROM orders WHERE orders.id = ANY (%(ids)s::TEXT[])", ALL_SHARDS),
        ("SELECT banks.id FROM banks WHERE banks.active FOR UPDATE", ONE_SHARD),
        ("SELECT refunds.id FROM refunds JOIN orders ON true WHERE refunds.id = %(id)s::VARCHAR", CHANGES),
        ("INSERT INTO outbox (subject) VALUES (%(subject)s::VARCHAR)", ONE_SHARD),
        ("INSERT INTO outbox (subject) SELECT orders.id FROM orders", ALL_SHARDS),
        ("SELECT pg_advisory_xact_lock(1)", LOCKS),
    ],
)
def test_statement_is_classified_by_its_columns(sql: str, heading: str) -> None:
    assert classify(sql, read_distribution()) == heading
