"""Databases as a later release leaves them, which this release has to accept."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime

import psycopg
from pymongo import MongoClient

from services.runtime.storage.mongo import Document
from services.runtime.storage.mongo_migrations import VERSIONS_COLLECTION

LATER_REVISION = "later_0001"
"""Migration that this tree does not contain."""


@contextmanager
def recording_later_migration(settings: Mapping[str, str]) -> Iterator[None]:
    """Record a later migration in the migrated stores of a service until the block ends; the schema is unchanged."""
    with ExitStack() as stack:
        connection = stack.enter_context(closing(psycopg.connect(settings["DATABASE_URL"], autocommit=True)))
        present = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        later = (LATER_REVISION,)
        stack.callback(connection.execute, "UPDATE alembic_version SET version_num = %s", present)
        connection.execute("UPDATE alembic_version SET version_num = %s", later)
        stack.callback(connection.execute, "DELETE FROM applied_revisions WHERE revision = %s", later)
        connection.execute("INSERT INTO applied_revisions VALUES (%s)", later)
        if url := settings.get("DOCUMENTS_URL"):
            versions = stack.enter_context(MongoClient[Document](url)).get_default_database()[VERSIONS_COLLECTION]
            stack.callback(versions.delete_one, {"_id": LATER_REVISION})
            versions.insert_one({"_id": LATER_REVISION, "at": datetime.now(UTC)})
        yield
