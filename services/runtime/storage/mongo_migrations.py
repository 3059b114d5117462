"""Migrations of a service's documents and indexes."""

import logging
import runpy
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from pymongo import MongoClient
from pymongo.database import Database

from services.runtime.storage.migrations import SCRIPTS_DIR
from services.runtime.storage.mongo import Document

log = logging.getLogger(__name__)

VERSIONS_COLLECTION = "migrations"
"""Collection with one document for each applied migration."""

SERVER_SELECTION_TIMEOUT_MS = 5000


def migrate(service: str, url: str) -> None:
    """Apply the pending migrations to the database of the URL's path. Raises PyMongoError.

    There is no time limit for a command: an index build takes as long as the collection is large, and blocks no write.
    """
    with _connect(url) as client:
        apply_pending(client.get_default_database(), list_migrations(service))


def list_pending(service: str, url: str) -> Sequence[str]:
    """Return the names of the pending migrations. Raises PyMongoError."""
    with _connect(url) as client:
        return [path.stem for path in find_pending(client.get_default_database(), list_migrations(service))]


def list_migrations(service: str) -> Sequence[Path]:
    """Return the migrations of a service in their order: `migrations/<service>/documents/<number>_<name>.py`."""
    return sorted((SCRIPTS_DIR / service / "documents").glob("[0-9]*.py"))


def find_pending(database: Database[Document], migrations: Sequence[Path]) -> Sequence[Path]:
    """Return the migrations that the database does not list."""
    applied = {document["_id"] for document in database[VERSIONS_COLLECTION].find()}
    return [path for path in migrations if path.stem not in applied]


def apply_pending(database: Database[Document], migrations: Sequence[Path]) -> None:
    """Call `upgrade(database)` of each migration that the database does not list, and add it to the list.

    A migration must be idempotent: an interrupted one is repeated, and processes that start concurrently may apply the
    same one. It must be compatible with the previous release, which runs meanwhile.
    """
    versions = database[VERSIONS_COLLECTION]
    for path in find_pending(database, migrations):
        runpy.run_path(str(path))["upgrade"](database)
        versions.replace_one({"_id": path.stem}, {"_id": path.stem, "at": datetime.now(UTC)}, upsert=True)
        log.info("document migration %s applied", path.stem)


def _connect(url: str) -> MongoClient[Document]:
    return MongoClient(url, w="majority", serverSelectionTimeoutMS=SERVER_SELECTION_TIMEOUT_MS)
