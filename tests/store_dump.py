"""Contents of the stores of a running mesh, for tests that no personal data is stored."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pymongo
from psycopg import sql

from deploy.local.infrastructure.mongodb import SERVICES_WITH_DOCUMENTS
from deploy.local.mesh_config import SERVICES
from tests.conftest import shift_port


def connect_database(state_dir: Path, service: str) -> psycopg.Connection:
    """Connect to the database of a service."""
    password = (state_dir / f"secrets/postgres-{service}.password").read_text(encoding="utf-8")
    url = f"postgresql://{service}:{password}@127.0.0.1:{shift_port(25432)}/{service}"
    return psycopg.connect(url, autocommit=True)


def iter_stored_values(state_dir: Path) -> Iterator[str]:
    """Yield every value of all tables and documents as text."""
    for service in SERVICES:
        with connect_database(state_dir, service) as connection:
            query = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
            for (table,) in connection.execute(query).fetchall():
                for row in connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(table))):
                    yield from (str(value) for value in row if value is not None)
    for service in SERVICES_WITH_DOCUMENTS:
        password = (state_dir / f"secrets/mongodb-{service}.password").read_text(encoding="utf-8")
        url = f"mongodb://{service}:{password}@127.0.0.1:{shift_port(27117)}/{service}"
        with pymongo.MongoClient[Any](url) as client:
            database = client.get_default_database()
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
