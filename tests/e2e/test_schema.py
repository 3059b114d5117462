"""The schema after all migrations matches the table definitions of each service."""

from importlib import import_module

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, create_engine

from deploy.local.infrastructure.services import build_service_environment
from deploy.local.mesh_config import SERVICES, MeshConfig
from deploy.local.pki.secrets import Secrets
from services.runtime.storage.migrations import APPLIED_REVISIONS, migrate
from tests.conftest import Mesh


@pytest.mark.parametrize("service", SERVICES)
def test_migrated_schema_matches_table_definitions(mesh: Mesh, service: str) -> None:
    metadata: MetaData = import_module(f"services.{service}.adapters.postgres.tables").metadata
    config = MeshConfig()
    url = build_service_environment(config, Secrets(config), service)["DATABASE_URL"]
    migrate(service, url)
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.connect() as connection:
        options = {"include_name": lambda name, *_: name != APPLIED_REVISIONS.name}
        differences = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    engine.dispose()
    assert differences == []
