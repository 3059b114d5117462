"""What the stores of a running mesh hold, for tests of what must not be in them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pymongo
from psycopg import sql

from tests.conftest import shift_port

SERVICES = ("gateway", "orders", "partners", "notifications")


def connect_database(state: Path, service: str) -> psycopg.Connection:
    """A service's own database."""
    password = (state / f"secrets/postgres-{service}.password").read_text()
    url = f"postgresql://{service}:{password}@127.0.0.1:{shift_port(25432)}/{service}"
    return psycopg.connect(url, autocommit=True)


def iter_stored_values(state: Path) -> Iterator[str]:
    """Every value of every table, and of every document, as text."""
    for service in SERVICES:
        with connect_database(state, service) as connection:
            query = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
            for (table,) in connection.execute(query).fetchall():
                for row in connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(table))):
                    yield from (str(value) for value in row if value is not None)
    with pymongo.MongoClient(f"mongodb://127.0.0.1:{shift_port(27117)}/?directConnection=true") as client:
        for service in ("orders", "notifications"):
            database = client[service]
            for name in database.list_collection_names():
                for document in database[name].find():
                    yield from _iter_leaves(document)


def _iter_leaves(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for value in node.values():
            yield from _iter_leaves(value)
    elif isinstance(node, list):
        for value in node:
            yield from _iter_leaves(value)
    elif node is not None:
        yield str(node)
