"""Each import-linter contract is broken by an injected import."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.conftest import ROOT

SERVICES = ("gateway", "orders", "partners", "notifications")

INJECTED_IMPORTS = {
    "Services never import each other": ("services/orders/app.py", "services.partners.app"),
    "The runtime imports no service, no generator and no deployment code": (
        "services/runtime/process/cli.py",
        "codegen.errors",
    ),
    "Nothing imports the sandbox": ("deploy/drain.py", "services.sandbox.app"),
    "Layers of the runtime": ("services/runtime/core/clock.py", "services.runtime.rest.routing"),
    "Domain and use cases import no REST, stubs, stores or telemetry": (
        "services/orders/usecases/refunds.py",
        "generated.rest.delivery.models",
    ),
    **{
        f"Layers of {service}": (f"services/{service}/domain/__init__.py", f"services.{service}.usecases")
        for service in SERVICES
    },
}


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
    lint_imports = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [lint_imports, "--no-cache"], cwd=copy, capture_output=True, text=True, check=False, encoding="utf-8"
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def test_every_contract_has_an_injected_import() -> None:
    assert sorted(contract_names()) == sorted(INJECTED_IMPORTS)


@pytest.mark.parametrize("name", INJECTED_IMPORTS)
def test_injected_import_breaks_its_contract(report: str, name: str) -> None:
    path, module = INJECTED_IMPORTS[name]
    importer = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    unwrapped = " ".join(report.split())
    assert f"{name} BROKEN" in unwrapped
    assert f"{importer} -> {module}" in unwrapped


@pytest.mark.parametrize("service", SERVICES)
def test_service_has_the_four_packages(service: str) -> None:
    packages = {path.parent.name for path in (ROOT / "services" / service).glob("*/__init__.py")}
    assert packages == {"domain", "usecases", "adapters", "entrypoints"}


def test_no_folder_of_services_has_more_than_16_files() -> None:
    folders = [path for path in (ROOT / "services").rglob("*") if path.is_dir() and path.name != "__pycache__"]
    crowded = {folder for folder in folders if sum(entry.is_file() for entry in folder.iterdir()) > 16}
    assert crowded == set()
