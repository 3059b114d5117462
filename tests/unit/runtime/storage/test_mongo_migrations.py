"""Document migrations, run on mongomock: order, record of applied ones, and repetition after a failure."""

from pathlib import Path
from typing import Any

import pytest

from services.runtime.storage import mongo_migrations
from tests.unit.mongomock_database import create_database

SCRIPT = """
def upgrade(database):
    database["calls"].insert_one({{"_id": database["calls"].count_documents({{}}), "number": {number}}})
    if {fails}:
        raise RuntimeError
"""


def write_migration(folder: Path, number: int, *, fails: bool = False) -> Path:
    path = folder / f"{number:04}_step.py"
    path.write_text(SCRIPT.format(number=number, fails=fails), encoding="utf-8")
    return path


def list_calls(database: Any) -> list[int]:
    return [document["number"] for document in database["calls"].find().sort("_id", 1)]


def list_versions(database: Any) -> set[str]:
    return {document["_id"] for document in database[mongo_migrations.VERSIONS_COLLECTION].find()}


def test_pending_migrations_are_applied_in_order_and_once(tmp_path: Path) -> None:
    database = create_database()
    migrations = [write_migration(tmp_path, number) for number in (1, 2)]
    mongo_migrations.apply_pending(database, migrations)
    assert list_calls(database) == [1, 2]
    mongo_migrations.apply_pending(database, [*migrations, write_migration(tmp_path, 3)])
    assert list_calls(database) == [1, 2, 3]
    assert list_versions(database) == {"0001_step", "0002_step", "0003_step"}


def test_failed_migration_is_repeated_and_blocks_later_ones(tmp_path: Path) -> None:
    database = create_database()
    migrations = [write_migration(tmp_path, 1), write_migration(tmp_path, 2, fails=True), write_migration(tmp_path, 3)]
    with pytest.raises(RuntimeError):
        mongo_migrations.apply_pending(database, migrations)
    assert (list_calls(database), list_versions(database)) == ([1, 2], {"0001_step"})
    write_migration(tmp_path, 2)
    mongo_migrations.apply_pending(database, migrations)
    assert (list_calls(database), list_versions(database)) == ([1, 2, 2, 3], {"0001_step", "0002_step", "0003_step"})


def test_find_pending_returns_unapplied_migrations_and_applies_none(tmp_path: Path) -> None:
    database = create_database()
    first, second = (write_migration(tmp_path, number) for number in (1, 2))
    mongo_migrations.apply_pending(database, [first])
    assert mongo_migrations.find_pending(database, [first, second]) == [second]
    assert list_calls(database) == [1]


@pytest.mark.parametrize("service", ["orders", "notifications"])
def test_migrations_of_service_are_numbered_and_idempotent(service: str) -> None:
    migrations = mongo_migrations.list_migrations(service)
    assert [int(path.stem.partition("_")[0]) for path in migrations] == list(range(1, len(migrations) + 1))
    database = create_database()
    for _ in range(2):
        mongo_migrations.apply_pending(database, migrations)
        database[mongo_migrations.VERSIONS_COLLECTION].delete_many({})
    assert all(
        len(database[name].index_information()) > 1 for name in database.list_collection_names() if name != "migrations"
    )


@pytest.mark.parametrize("service", ["gateway", "partners"])
def test_service_without_document_store_has_no_migrations(service: str) -> None:
    assert mongo_migrations.list_migrations(service) == []
