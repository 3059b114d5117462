"""Unique keys of orders on tables that PostgreSQL partitions by the distribution columns of docs/scale.md.

A partitioned table has the restriction of a distributed one: each unique key contains the column.
"""

import re
from collections.abc import Iterator

import psycopg
from psycopg import sql
from psycopg.errors import FeatureNotSupported

from tests.integration.fixtures.orders import Orders
from tests.scale_document import REPLICATED, read_distribution, read_keys_without_column

COPY = sql.Identifier("pg_temp", "distributed_copy")


def list_unique_indexes(connection: psycopg.Connection, table: str) -> Iterator[tuple[str, str]]:
    """Yield the names of the unique indexes of a table, and their columns and conditions."""
    query = "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s AND indexdef LIKE 'CREATE UNIQUE%%'"
    for name, definition in connection.execute(query, [table]):
        yield name, re.sub(r"^.* USING ", "USING ", definition)


def find_keys_without_column(connection: psycopg.Connection, table: str, column: str) -> Iterator[str]:
    """Partition an empty copy of a table, and yield the unique indexes that it cannot have."""
    create = sql.SQL("CREATE TEMPORARY TABLE {} (LIKE {} INCLUDING CONSTRAINTS) PARTITION BY HASH ({})")
    names = (sql.Identifier("distributed_copy"), sql.Identifier(table), sql.Identifier(column))
    connection.execute(create.format(*names))
    for name, definition in list_unique_indexes(connection, table):
        try:
            with connection.transaction():
                connection.execute(sql.SQL("CREATE UNIQUE INDEX ON {} ").format(COPY) + sql.SQL(definition))  # type: ignore[arg-type]
        except FeatureNotSupported:
            yield name
    connection.execute(sql.SQL("DROP TABLE {}").format(COPY))


async def test_document_lists_the_keys_without_the_column(orders: Orders) -> None:
    found = set[str]()
    with psycopg.connect(orders.database.url) as connection:
        for table, column in read_distribution().items():
            if column != REPLICATED:
                found |= {*find_keys_without_column(connection, table, column)}
    assert found == read_keys_without_column()
