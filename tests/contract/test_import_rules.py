"""Each import-linter contract is broken by an injected import, and each forbidden module by one of its own."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from deploy.local.mesh_config import SERVICES
from tests.conftest import ROOT

INNER_PACKAGES = tuple(f"services.{service}.{package}" for service in SERVICES for package in ("domain", "usecases"))
INNER_CONTRACT = "Domain and use cases import no REST, stubs, stores, clients or telemetry"

INJECTED_IMPORTS = {
    "Services never import each other": ("services/orders/app.py", "services.partners.app"),
    "The runtime imports no service, no generator and no deployment code": (
        "services/runtime/process/cli.py",
        "codegen.errors",
    ),
    "Nothing imports the sandbox": ("deploy/drain.py", "services.sandbox.app"),
    "Layers of the runtime": ("services/runtime/core/clock.py", "services.runtime.rest.routing"),
    INNER_CONTRACT: (
        "services/orders/usecases/refunds.py",
        "generated.rest.delivery.models",
    ),
    **{
        f"Layers of {service}": (f"services/{service}/domain/__init__.py", f"services.{service}.usecases")
        for service in SERVICES
    },
}

MODULES_WITHOUT_INPUT_OR_OUTPUT = (
    "services.runtime.outbound.base_url",
    "services.runtime.outbound.webhook_secrets",
    "services.runtime.storage.encryption",
)
"""Modules of forbidden packages that use cases may import."""

FORBIDDEN_PACKAGES = (
    "generated/rest/delivery",
    "services/runtime/config",
    "services/runtime/messaging",
    "services/runtime/outbound",
    "services/runtime/process",
    "services/runtime/rest",
    "services/runtime/rpc",
    "services/runtime/storage",
    "services/runtime/telemetry",
)
FORBIDDEN_MODULES = (
    "generated.events.consumers",
    "generated.proto.delivery.notifications.v1.rpc",
    "generated.proto.delivery.orders.v1.rpc",
    "generated.proto.delivery.partners.v1.rpc",
    *(
        f"{package.replace('/', '.')}.{path.stem}"
        for package in FORBIDDEN_PACKAGES
        for path in sorted((ROOT / package).glob("[a-z]*.py"))
    ),
)
FORBIDDEN_LIBRARIES = (
    "aiosmtplib",
    "alembic",
    "connexion",
    "firebase_admin",
    "google.cloud.storage",
    "grpc",
    "httpcore",
    "httpx",
    "opentelemetry.trace",
    "pika",
    "prometheus_client",
    "psycopg",
    "psycopg_pool",
    "pydantic_settings",
    "pymemcache",
    "pymongo",
    "requests",
    "sqlalchemy",
    "starlette",
    "urllib3",
    "uvicorn",
    "werkzeug",
)


def contract_names() -> list[str]:
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return [contract["name"] for contract in configuration["tool"]["importlinter"]["contracts"]]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report of lint-imports on a copy with every injected import."""
    copy = tmp_path_factory.mktemp("imports")
    for name in ("services", "generated", "codegen", "deploy"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "pyproject.toml", copy / "pyproject.toml")
    for path, module in INJECTED_IMPORTS.values():
        with (copy / path).open("a", encoding="utf-8") as file:
            file.write(f"\nimport {module}\n")
    imports = "".join(f"import {module}\n" for module in (*FORBIDDEN_MODULES, *FORBIDDEN_LIBRARIES))
    for package in INNER_PACKAGES:
        (copy / package.replace(".", "/") / "injected.py").write_text(imports, encoding="utf-8")
    for service in SERVICES:
        text = f"import services.{service}.app\n"
        (copy / "services" / service / "injected.py").write_text(text, encoding="utf-8")
    lint_imports = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [lint_imports, "--no-cache"], cwd=copy, capture_output=True, text=True, check=False, encoding="utf-8"
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return " ".join(done.stdout.split())


def test_every_contract_has_an_injected_import() -> None:
    assert sorted(contract_names()) == sorted(INJECTED_IMPORTS)


@pytest.mark.parametrize("name", INJECTED_IMPORTS)
def test_injected_import_breaks_its_contract(report: str, name: str) -> None:
    path, module = INJECTED_IMPORTS[name]
    importer = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    assert f"{name} BROKEN" in report
    assert f"{importer} -> {module}" in report


@pytest.mark.parametrize("package", INNER_PACKAGES)
def test_inner_package_imports_no_forbidden_module(report: str, package: str) -> None:
    permitted = MODULES_WITHOUT_INPUT_OR_OUTPUT if package.endswith(".usecases") else ()
    found = {module for module in FORBIDDEN_MODULES if f"{package}.injected -> {module} (l." in report}
    assert found == set(FORBIDDEN_MODULES).difference(permitted)


@pytest.mark.parametrize("package", INNER_PACKAGES)
def test_inner_package_imports_no_library_of_stores_or_clients(report: str, package: str) -> None:
    """The report names the top-level package of a library."""
    names = {module.partition(".")[0] for module in FORBIDDEN_LIBRARIES}
    assert {name for name in names if f"{package}.injected -> {name} (l." in report} == names


@pytest.mark.parametrize("service", SERVICES)
def test_new_module_of_service_is_in_no_layer(report: str, service: str) -> None:
    assert f"- services.{service}.injected " in report


@pytest.mark.parametrize("service", SERVICES)
def test_service_has_the_four_packages(service: str) -> None:
    packages = {path.parent.name for path in (ROOT / "services" / service).glob("*/__init__.py")}
    assert packages == {"domain", "usecases", "adapters", "entrypoints"}


def test_no_folder_of_services_has_more_than_16_files() -> None:
    folders = [path for path in (ROOT / "services").rglob("*") if path.is_dir() and path.name != "__pycache__"]
    crowded = {folder for folder in folders if sum(entry.is_file() for entry in folder.iterdir()) > 16}
    assert crowded == set()
