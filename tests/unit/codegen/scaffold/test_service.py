"""Creation and deletion of the files of a service in a copy of the files that name every service."""

import ast
import shutil
from pathlib import Path

import pytest
import yaml

from codegen.contracts import ContractError
from codegen.scaffold.edits import load_edits
from codegen.scaffold.service import TEMPLATES, create_service, delete_service
from tests.conftest import ROOT


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a folder with copies of the files."""
    for file in {*(edit.file for edit in load_edits(TEMPLATES / "edits.yaml"))}:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / file, tmp_path / file)
    return tmp_path


def read_tree(root: Path) -> dict[str, str]:
    """Return the content of all files."""
    return {
        path.relative_to(root).as_posix(): path.read_text(encoding="utf-8")
        for path in root.rglob("*")
        if path.is_file()
    }


def test_deletion_restores_every_file_and_folder(root: Path) -> None:
    before = read_tree(root)
    create_service(root, "sampleone")
    assert read_tree(root) != before
    for folder in ("services", "migrations", "tests/unit"):
        (root / folder / "sampleone/more.py").touch()
    delete_service(root, "sampleone")
    assert read_tree(root) == before
    assert [*root.rglob("sampleone")] == []


def test_created_files_are_valid_and_without_placeholders(root: Path) -> None:
    before = read_tree(root)
    for path in create_service(root, "sampleone"):
        text = (root / path).read_text(encoding="utf-8")
        assert path in before or "sampleone" in f"{path}{text}".lower()
        assert "${" not in text or path in before
        if path.endswith(".py"):
            ast.parse(text)
        elif path.endswith((".yaml", ".yml")):
            yaml.load(text, Loader=yaml.CSafeLoader)
    assert (root / "services/sampleone/app.py").is_file()


def test_second_service_has_other_ports_and_survives_deletion_of_first(root: Path) -> None:
    before = read_tree(root)
    create_service(root, "sampleone")
    create_service(root, "sampletwo")
    mesh = yaml.load((root / "envoy/mesh.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    ports = [
        setting["default"] for setting in mesh["settings"].values() if setting.get("port") and "default" in setting
    ]
    assert len(ports) == len({*ports})
    assert mesh["sidecars"][-3:] == ["sampleone", "sampletwo", "ops"]
    delete_service(root, "sampleone")
    assert not [path for path, text in read_tree(root).items() if "sampleone" in f"{path}{text}".lower()]
    delete_service(root, "sampletwo")
    assert read_tree(root) == before


def test_existing_service_is_not_overwritten(root: Path) -> None:
    create_service(root, "sampleone")
    before = read_tree(root)
    with pytest.raises(ContractError, match="the service sampleone exists"):
        create_service(root, "sampleone")
    assert read_tree(root) == before


@pytest.mark.parametrize("name", ["sampleone", "..", ""])
def test_missing_service_is_not_deleted(root: Path, name: str) -> None:
    with pytest.raises(ContractError, match="does not exist"):
        delete_service(root, name)


def test_changed_place_stops_deletion_before_any_change(root: Path) -> None:
    create_service(root, "sampleone")
    file = root / "deploy/containers/databases.sql"
    file.write_text(
        file.read_text(encoding="utf-8").replace("ROLE sampleone LOGIN", "ROLE sampleone  LOGIN"), encoding="utf-8"
    )
    before = read_tree(root)
    with pytest.raises(ContractError, match=r"databases\.sql: the lines from .* are not as scaffolded"):
        delete_service(root, "sampleone")
    assert read_tree(root) == before


OPENAPI, MESH = "api-specs/openapi/delivery.yaml", "envoy/mesh.yaml"
EVENTS, OPTIONS = (f"api-specs/proto/delivery/{name}/v1/{name}.proto" for name in ("events", "options"))


@pytest.mark.parametrize(
    ("file", "anchor", "line"),
    [
        (OPENAPI, "  /users/me/devices:", "      tags: [users, sampleone]"),
        (OPENAPI, "  /users/me/devices:", "      - sampleone"),
        (OPENAPI, "    DeviceList:", "      x-message: delivery.sampleone.v1.GetBalanceResponse"),
        (EVENTS, "package delivery.events.v1;", 'import "delivery/sampleone/v1/sampleone.proto";'),
        (EVENTS, 'type: "orders.paid"', 'type: "sampleone.earned"'),
        (EVENTS, 'queues: ["', 'queues: ["sampleone.registrations"]'),
        (OPTIONS, "package delivery.options.v1;", "callers: [CALLER_SAMPLEONE]"),
        (MESH, "  partners: {public_ports", "  sampleone: {stores: [mongodb]}"),
    ],
)
def test_service_that_other_contracts_name_is_not_deleted(root: Path, file: str, anchor: str, line: str) -> None:
    create_service(root, "sampleone")
    start, found, end = (root / file).read_text(encoding="utf-8").partition(anchor)
    assert found, f"{file} has no {anchor}"
    (root / file).write_text(f"{start.rstrip(' ')}{line}\n{found}{end}", encoding="utf-8")
    before = read_tree(root)
    place = f"{file}:{start.count('\n') + 1}"
    with pytest.raises(ContractError, match=f"sampleone is also named in {place}: remove these lines first$"):
        delete_service(root, "sampleone")
    assert read_tree(root) == before


@pytest.mark.parametrize("name", ["orders", "gateway"])
def test_service_that_was_not_scaffolded_is_not_deleted(root: Path, name: str) -> None:
    (root / f"services/{name}").mkdir(parents=True, exist_ok=True)
    (root / f"services/{name}/app.py").touch()
    before = read_tree(root)
    with pytest.raises(ContractError):
        delete_service(root, name)
    assert read_tree(root) == before


def test_alert_of_service_has_runbook_section_case_and_condition(root: Path) -> None:
    create_service(root, "sampleone")
    alert = "SampleoneOrdersNotCounted"
    assert {path for path, text in read_tree(root).items() if alert in text} == {
        "api-specs/observability.yaml",
        "deploy/local/status/service_conditions.py",
        "docs/runbook.md",
        "tests/contract/alert_cases.py",
    }


@pytest.mark.parametrize(
    ("name", "previous"), [("alpha", "RabbitMQ"), ("offers", "document_store"), ("zeta", "partner_system")]
)
def test_consumer_is_drawn_in_the_order_of_service_names(root: Path, name: str, previous: str) -> None:
    create_service(root, name)
    lines = (root / "design/5-pay.md").read_text(encoding="utf-8").splitlines()
    consumers = [line.partition(": ")[0].rpartition(">>")[2] for line in lines if ": orders.paid (" in line]
    assert consumers == sorted(consumers)
    participants = [line.split()[1] for line in lines if line.startswith("    participant ")]
    assert participants[participants.index(name) - 1] == previous
