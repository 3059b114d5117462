"""The contracts against each other, and what a change of one line leads to."""

import shutil
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from openapi_spec_validator import OpenAPIV31SpecValidator
from sqlalchemy import MetaData, create_engine

from codegen import __main__ as generators
from codegen import contracts
from codegen.contracts import ContractError, Contracts
from codegen.rest import converters, handlers
from codegen.rest.published_openapi import publish_document
from deploy.local.infrastructure.services import build_service_environment
from deploy.local.mesh_config import ROOT, MeshConfig
from deploy.local.pki.secrets import Secrets
from services.gateway.adapters.postgres.tables import metadata as gateway
from services.notifications.adapters.postgres.tables import metadata as notifications
from services.orders.adapters.postgres.tables import metadata as orders
from services.partners.adapters.postgres.tables import metadata as partners
from services.runtime.storage.migrations import migrate
from tests.conftest import Mesh


@pytest.fixture
def source() -> Contracts:
    return contracts.load(ROOT)


@pytest.mark.parametrize("stem", [path.stem for path in sorted((ROOT / "api-specs/openapi").glob("*.yaml"))])
def test_the_published_document_is_valid(source: Contracts, stem: str) -> None:
    OpenAPIV31SpecValidator(publish_document(source.openapi[stem])).validate()


def test_a_new_query_parameter_changes_the_handlers_signature(source: Contracts, tmp_path: Path) -> None:
    parameters = source.openapi["delivery"]["paths"]["/catalog"]["get"]["parameters"]
    parameters.append({"name": "brand", "in": "query", "schema": {"type": "string", "maxLength": 50}})
    text = str(handlers.generate(source)["rest/delivery/handlers.py"])
    assert "brand: str | None = None" in text
    generated = tmp_path / "generated"
    subprocess.run(["cp", "-r", ROOT / "generated", generated], check=True)
    (generated / "rest/delivery/handlers.py").write_text(text)
    (tmp_path / "services").symlink_to(ROOT / "services")
    if (ROOT / ".mypy_cache").exists():  # what the last check found of all that is not changed here
        shutil.copytree(ROOT / ".mypy_cache", tmp_path / ".mypy_cache")
    command = [
        Path(sys.executable).with_name("mypy"),
        "--config-file",
        ROOT / "pyproject.toml",
        "-p",
        "services.gateway.entrypoints.rest",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    errors = [line for line in done.stdout.splitlines() if " error: " in line]
    assert len(errors) == 1, done.stdout
    assert "services/gateway/entrypoints/rest/catalog.py" in errors[0]
    assert '"list_catalog"' in errors[0]


def test_drift_names_itself_and_each_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(ROOT / "generated", tmp_path / "generated", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(generators, "GENERATED", tmp_path / "generated")
    assert generators.check(Namespace()) == 0
    with (tmp_path / "generated/problems.py").open("a") as changed:
        changed.write("# by hand\n")
    (tmp_path / "generated/descriptors.binpb").rename(tmp_path / "generated/stray.binpb")
    assert generators.check(Namespace()) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("drift: ")
    assert said[1:4] == [
        "missing  generated/descriptors.binpb",
        "stray    generated/stray.binpb",
        "differs  generated/problems.py",
    ]
    assert said[4] == "Mend it with: make generate"


def test_a_field_without_its_counterpart_is_an_error(source: Contracts) -> None:
    source.schemas("delivery")["Order"]["properties"]["colour"] = {"type": "string"}
    with pytest.raises(ContractError, match=r"Order\.colour has no field in delivery/orders/v1/orders\.proto"):
        converters.generate(source)


@pytest.mark.parametrize(
    ("service", "metadata"),
    [("gateway", gateway), ("orders", orders), ("partners", partners), ("notifications", notifications)],
)
def test_migrations_make_the_tables_that_the_code_knows(mesh: Mesh, service: str, metadata: MetaData) -> None:
    state = MeshConfig()
    url = build_service_environment(state, Secrets(state), service)["DATABASE_URL"]
    migrate(service, url)
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    engine.dispose()
    assert differences == []
