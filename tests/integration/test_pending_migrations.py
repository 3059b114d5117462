"""Pending migrations on real databases: PostgreSQL in a schema of the test, and MongoDB."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from pymongo import MongoClient

from deploy.local.mesh_config import SERVICES
from services.runtime.storage import migrations, mongo_migrations
from services.runtime.storage.mongo import Document
from tests.integration.fixtures.servers import Servers
from tests.later_schema import LATER_REVISION, recording_later_migration

SCHEMA = "pending_migrations"


@pytest.fixture
def database_url(servers: Servers) -> Iterator[str]:
    """URL of the database of the gateway with an empty schema."""
    url = servers.settings("gateway")["DATABASE_URL"]
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        connection.execute(f"CREATE SCHEMA {SCHEMA}")
        yield f"{url}{'&' if '?' in url else '?'}options={quote(f'-csearch_path={SCHEMA}')}"
        connection.execute(f"DROP SCHEMA {SCHEMA} CASCADE")


def set_revision(url: str, revision: str) -> None:
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = %s", (revision,))


def test_revisions_are_pending_until_they_are_applied(database_url: str) -> None:
    revisions = [revision for revision, _ in migrations.iter_revision_sql("gateway")]
    assert [*migrations.list_pending("gateway", database_url)] == revisions
    migrations.migrate("gateway", database_url)
    assert [*migrations.list_pending("gateway", database_url)] == []
    set_revision(database_url, revisions[0])
    assert [*migrations.list_pending("gateway", database_url)] == revisions[1:]


def test_no_revision_is_pending_after_a_later_release(database_url: str) -> None:
    migrations.migrate("gateway", database_url)
    set_revision(database_url, "9999")
    assert [*migrations.list_pending("gateway", database_url)] == []


@pytest.mark.parametrize("service", SERVICES)
def test_stores_of_a_later_release_are_accepted(servers: Servers, service: str) -> None:
    settings = servers.settings(service)
    database_url, documents_url = settings["DATABASE_URL"], settings.get("DOCUMENTS_URL")
    migrations.migrate(service, database_url)
    if documents_url:
        mongo_migrations.migrate(service, documents_url)
    with recording_later_migration(settings):
        migrations.migrate(service, database_url)
        assert [*migrations.list_pending(service, database_url)] == []
        with closing(psycopg.connect(database_url)) as connection:
            revision = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        assert revision == (LATER_REVISION,)
        if documents_url:
            mongo_migrations.migrate(service, documents_url)
            assert [*mongo_migrations.list_pending(service, documents_url)] == []
    assert [*migrations.list_pending(service, database_url)] == []


@pytest.fixture
def earlier_release(tmp_path: Path) -> Path:
    """Folder of migrations without the last two of the gateway."""
    folder = tmp_path / "migrations"
    shutil.copytree(migrations.SCRIPTS_DIR, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for script in sorted((folder / "gateway").glob("[0-9]*.py"))[-2:]:
        script.unlink()
    return folder


def test_earlier_release_starts_on_schema_of_later_release(
    database_url: str, earlier_release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrations.migrate("gateway", database_url)
    with closing(psycopg.connect(database_url)) as connection:
        before = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    monkeypatch.setattr(migrations, "SCRIPTS_DIR", earlier_release)
    migrations.migrate("gateway", database_url)
    assert [*migrations.list_pending("gateway", database_url)] == []
    with closing(psycopg.connect(database_url)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == before


def test_schema_of_another_branch_is_rejected(
    database_url: str, earlier_release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "SCRIPTS_DIR", earlier_release)
        migrations.migrate("gateway", database_url)
    set_revision(database_url, "branch_0001")
    for work in (migrations.migrate, migrations.list_pending):
        with pytest.raises(migrations.UnknownSchemaError, match="unknown revision branch_0001"):
            work("gateway", database_url)


def test_document_migrations_are_pending_until_they_are_applied(servers: Servers) -> None:
    url = servers.settings("notifications")["DOCUMENTS_URL"]
    mongo_migrations.migrate("notifications", url)
    assert [*mongo_migrations.list_pending("notifications", url)] == []
    names = [path.stem for path in mongo_migrations.list_migrations("notifications")]
    with MongoClient[Document](url) as client:
        client.get_default_database()[mongo_migrations.VERSIONS_COLLECTION].delete_one({"_id": names[-1]})
    assert [*mongo_migrations.list_pending("notifications", url)] == names[-1:]
    mongo_migrations.migrate("notifications", url)
