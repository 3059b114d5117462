"""Build of the generated files that are not in git: what is built, when, and what is deleted."""

import fcntl
import os
from pathlib import Path

import pytest

from codegen import artefacts
from codegen.contracts import ContractError, Contracts, Files
from tests.conftest import ROOT

DOCUMENT = "openapi: 3.1.0\ninfo: {title: Sample, version: 1.0.0}\nwebhooks: {}\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a repository with the inputs, in which a generator writes `envoy/a.yaml` and `observability/`."""
    for name in artefacts.INPUTS:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            path.mkdir()
            (path / "input").write_text(name, encoding="utf-8")
        else:
            path.write_bytes((ROOT / name).read_bytes())
    (tmp_path / "api-specs/openapi").mkdir()
    (tmp_path / "api-specs/openapi/sample.yaml").write_text(DOCUMENT, encoding="utf-8")

    def generate_envoy(source: Contracts) -> Files:
        assert source.protos.services
        return {"envoy/a.yaml": f"openapi: {source.openapi['sample']['openapi']}", "envoy/b.bin": b"\0"}

    def generate_observability(_: Contracts) -> Files:
        return {"observability/dashboard.json": "{}", "observability/alerts.yml": "new"}

    generators = {"envoy": generate_envoy, "observability": generate_observability}
    monkeypatch.setattr(artefacts, "GENERATORS", generators)
    return tmp_path


def test_concurrent_command_waits_for_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["codegen.artefacts"])
    locked: list[bool] = []

    def build_if_changed(*_: object) -> bool:
        folder = os.open(ROOT / "generated", os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(folder)
        locked.append(True)
        return False

    monkeypatch.setattr(artefacts, "build_if_changed", build_if_changed)
    assert artefacts.main() == 0
    assert locked


def read_generated(root: Path) -> dict[str, bytes]:
    files = artefacts.list_files(root / "generated")
    return {str(path.relative_to(root / "generated")): path.read_bytes() for path in files}


def test_only_files_outside_of_git_are_written(root: Path) -> None:
    committed = read_generated(root)
    artefacts.build(root, ["envoy", "observability"])
    built = {name: text for name, text in read_generated(root).items() if name not in committed}
    assert built == {
        "envoy/a.yaml": b"openapi: 3.1.0",
        "envoy/b.bin": b"\0",
        "observability/dashboard.json": b"{}",
    }


def test_build_is_limited_to_given_folders(root: Path) -> None:
    artefacts.build(root, ["envoy"])
    assert "observability/dashboard.json" not in read_generated(root)


def test_outdated_artefact_is_deleted_unlike_committed_file(root: Path) -> None:
    for name in ("envoy/removed/kiosk.yaml", "observability/prometheus.yml", "openapi/other.json"):
        path = root / "generated" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("old", encoding="utf-8")
    artefacts.build(root, ["envoy", "observability"])
    names = read_generated(root).keys()
    assert "envoy/removed/kiosk.yaml" not in names
    assert {"observability/prometheus.yml", "openapi/other.json"} <= names


def test_unchanged_inputs_are_not_built_again(root: Path) -> None:
    assert artefacts.build_if_changed(root, ["envoy"])
    assert not artefacts.build_if_changed(root, ["envoy"])
    assert artefacts.build_if_changed(root, ["envoy", "observability"])


@pytest.mark.parametrize("name", ["api-specs/openapi/new.yaml", "codegen/envoy/edge.py", "envoy/mesh.yaml"])
def test_changed_input_is_built_again(root: Path, name: str) -> None:
    artefacts.build_if_changed(root, ["envoy"])
    (root / name).parent.mkdir(exist_ok=True)
    text = (root / name).read_text(encoding="utf-8") if (root / name).exists() else DOCUMENT
    (root / name).write_text(f"{text}\n# Changed.\n", encoding="utf-8")
    assert artefacts.build_if_changed(root, ["envoy"])


def test_missing_artefact_is_built_again(root: Path) -> None:
    """Git deletes ignored files that another commit contains."""
    artefacts.build_if_changed(root, ["envoy"])
    (root / "generated/envoy/a.yaml").unlink()
    assert artefacts.build_if_changed(root, ["envoy"])
    assert (root / "generated/envoy/a.yaml").exists()


def test_bytecode_is_no_input(root: Path) -> None:
    before = artefacts.compute_checksum(root)
    (root / "codegen/__pycache__").mkdir()
    (root / "codegen/__pycache__/a.pyc").write_bytes(b"x")
    assert artefacts.compute_checksum(root) == before


def test_failed_build_is_repeated(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Contracts) -> Files:
        raise ContractError("delivery.yaml: broken")

    monkeypatch.setitem(artefacts.GENERATORS, "envoy", fail)
    for _ in range(2):
        with pytest.raises(ContractError):
            artefacts.build_if_changed(root, ["envoy"])


def test_error_of_contracts_is_printed_with_its_fix(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: Contracts) -> Files:
        raise ContractError("delivery.yaml: broken")

    monkeypatch.setitem(artefacts.GENERATORS, "envoy", fail)
    monkeypatch.setattr("sys.argv", ["artefacts", "--root", str(root), "envoy"])
    assert artefacts.main() == 1
    assert capsys.readouterr().err.splitlines() == [
        "contract: delivery.yaml: broken",
        "Fix, if a protobuf file has changed: make generate",
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("envoy/production/orders.json", True),
        ("openapi/delivery.json", True),
        ("observability/dashboard.json", True),
        ("observability/alerts.yml", False),
        ("kubernetes/monitoring/prometheus-rule.yaml", True),
        ("kubernetes/monitoring/pod-monitor.yaml", False),
        ("asyncapi/delivery.yaml", False),
        ("rest/delivery/models.py", False),
    ],
)
def test_artefacts_are_selected_by_path(name: str, expected: bool) -> None:
    assert artefacts.is_artefact(name) is expected
