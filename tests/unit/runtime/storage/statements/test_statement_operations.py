"""Measured operations of a database."""

from typing import Any

from sqlalchemy import Column, MetaData, Table, Text, insert, literal, select

from services.runtime.storage.statements.statement import Statement
from services.runtime.storage.statements.statement_operations import StatementOperations

orders = Table("orders", MetaData(), Column("id", Text, primary_key=True))


def test_measured_attributes_contain_no_values() -> None:
    assert get_attributes(Statement(insert(orders).values(id="secret"))) == {
        "db.system.name": "postgresql",
        "db.namespace": "shop",
        "db.operation.name": "INSERT",
        "db.query.summary": "INSERT orders",
        "db.collection.name": "orders",
    }
    assert "db.collection.name" not in get_attributes(Statement(select(literal(1))))


def get_attributes(statement: Statement[Any]) -> dict[str, str | int]:
    """Return the attributes of the statement's spans."""
    operations = StatementOperations("shop")
    operations.measure(statement)
    return operations._by_summary[statement.summary].attributes


def test_operation_of_equal_statements_is_built_once() -> None:
    operations = StatementOperations("shop")
    for _ in range(2):
        operations.measure(Statement(select(orders)))
    assert [*operations._by_summary] == ["SELECT orders"]
