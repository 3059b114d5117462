"""Generated code: validity, drift report, and effects of a change of the contracts."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from codegen import __main__ as generators
from codegen import artefacts, contracts
from codegen.contracts import ContractError, Contracts
from codegen.rest import converters, handlers, request_converters
from codegen.rest.published_openapi import publish_document
from deploy.local.mesh_config import ROOT


@pytest.fixture
def source() -> Contracts:
    return contracts.load(ROOT)


@pytest.mark.parametrize("stem", [path.stem for path in sorted((ROOT / "api-specs/openapi").glob("*.yaml"))])
def test_published_document_is_valid(source: Contracts, stem: str) -> None:
    OpenAPIV31SpecValidator(publish_document(source.openapi[stem])).validate()


def test_new_query_parameter_without_message_field_is_rejected(source: Contracts) -> None:
    parameters = source.openapi["delivery"]["paths"]["/catalog"]["get"]["parameters"]
    parameters.append({"name": "brand", "in": "query", "schema": {"type": "string", "maxLength": 50}})
    with pytest.raises(ContractError, match=r"listCatalog\.brand has no field in delivery/partners/v1/partners\.proto"):
        request_converters.generate(source)


def test_new_query_parameter_changes_handler_signature(source: Contracts, tmp_path: Path) -> None:
    parameters = source.openapi["delivery"]["paths"]["/users"]["get"]["parameters"]
    parameters.append({"name": "brand", "in": "query", "schema": {"type": "string", "maxLength": 50}})
    text = str(handlers.generate(source)["rest/delivery/handlers.py"])
    assert "brand: str | None = None" in text
    generated = tmp_path / "generated"
    subprocess.run(["cp", "-r", ROOT / "generated", generated], check=True)
    (generated / "rest/delivery/handlers.py").write_text(text, encoding="utf-8")
    (tmp_path / "services").symlink_to(ROOT / "services")
    if (ROOT / ".mypy_cache").exists():  # reuses the results of unchanged modules
        shutil.copytree(ROOT / ".mypy_cache", tmp_path / ".mypy_cache")
    command = [
        Path(sys.executable).with_name("mypy"),
        "--config-file",
        ROOT / "pyproject.toml",
        "-p",
        "services.gateway.entrypoints.rest",
    ]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, encoding="utf-8")
    errors = [line for line in result.stdout.splitlines() if " error: " in line]
    assert len(errors) == 1, result.stdout
    assert "services/gateway/entrypoints/rest/users.py" in errors[0]
    assert '"list_users"' in errors[0]


def test_drift_report_names_every_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("api-specs", "buf.yaml", "envoy", "pyproject.toml", "services"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "generated", tmp_path / "generated", ignore=shutil.ignore_patterns("__pycache__"))
    assert generators.check(tmp_path) == 0
    with (tmp_path / "generated/problems.py").open("a", encoding="utf-8") as file:
        file.write("# by hand\n")
    (tmp_path / "generated/descriptors.binpb").rename(tmp_path / "generated/stray.binpb")
    assert generators.check(tmp_path) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("drift: ")
    assert lines[1:4] == [
        "missing  generated/descriptors.binpb",
        "stray    generated/stray.binpb",
        "differs  generated/problems.py",
    ]
    assert lines[4] == "Fix: make generate"


def test_git_contains_all_generated_files_except_artefacts() -> None:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "generated"]
    listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, encoding="utf-8").stdout
    in_git = {name.removeprefix("generated/") for name in listing.split("\0") if (ROOT / name).is_file()}
    names = generators.read_tree(ROOT / "generated").keys()
    assert in_git == {name for name in names if not artefacts.is_artefact(name)}


def test_property_without_message_field_is_rejected(source: Contracts) -> None:
    source.get_schemas("delivery")["Order"]["properties"]["colour"] = {"type": "string"}
    with pytest.raises(ContractError, match=r"Order\.colour has no field in delivery/orders/v1/orders\.proto"):
        converters.generate(source)
