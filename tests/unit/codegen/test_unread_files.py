"""Files beside the specifications that no generator reads: one error each, with the remedy."""

from pathlib import Path

import pytest

from codegen.unread_files import find_unread_files
from tests.conftest import ROOT

OPENAPI, PROTO = "api-specs/openapi", "api-specs/proto"
READ = {f"{OPENAPI}/library.yaml", f"{OPENAPI}/common/money.yaml", f"{PROTO}/library/loans/v1/loans.proto"}


def create_files(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def list_errors(root: Path, *names: str) -> list[str]:
    """Return the errors about the files, which are created beside those that are read."""
    create_files(root, *READ, *names)
    return list(find_unread_files(root, READ, READ))


@pytest.mark.parametrize(
    ("name", "error"),
    [
        (f"{OPENAPI}/v2/fines.yaml", "no contract refers to this file in a subfolder; move it to api-specs/openapi"),
        (f"{OPENAPI}/v2/.fines.yaml", "no contract refers to this file in a subfolder; move it to api-specs/openapi"),
        (f"{OPENAPI}/v2/fines.yml", "only .yaml files are read; rename the file to fines.yaml"),
        (f"{OPENAPI}/fines.YAML", "only .yaml files are read; rename the file to fines.yaml"),
        (f"{OPENAPI}/.fines.yml", "only .yaml files are read; rename the file to .fines.yaml"),
        (f"{OPENAPI}/fines.yaml.bak", "only .yaml files are read; move the file out of api-specs/openapi"),
        (f"{OPENAPI}/fines.proto", "only .yaml files are read; move the file out of api-specs/openapi"),
        (f"{PROTO}/library/fines/v1/fines.PROTO", "only .proto files are compiled; rename the file to fines.proto"),
        (
            f"{PROTO}/library/fines/v1/fines.yaml",
            "only .proto files are compiled; move the file out of api-specs/proto",
        ),
        (f"{PROTO}/library/fines/v1/fines.proto", "buf does not compile this file; correct the modules of buf.yaml"),
        ("api-specs/observability.yml", "no generator reads this file; rename it to one of"),
        ("api-specs/fines.proto", "no generator reads this file; rename it to one of"),
        ("envoy/fines.yaml", "no generator reads this file; move its content to envoy/mesh.yaml"),
    ],
)
def test_unread_file_is_an_error(tmp_path: Path, name: str, error: str) -> None:
    [message] = list_errors(tmp_path, name)
    assert message.startswith(f"{name}: {error}")


def test_unknown_folder_is_one_error(tmp_path: Path) -> None:
    [message] = list_errors(tmp_path, "api-specs/events/fines.yaml", "api-specs/events/v1/fines.proto")
    assert message.startswith("api-specs/events: no generator reads this folder; move its files to")


def test_documentation_and_files_of_editors_are_no_errors(tmp_path: Path) -> None:
    others = ("README.md", ".DS_Store", ".library.yaml.swp", "library.yaml~", ".gitkeep")
    folders = ("api-specs", OPENAPI, f"{OPENAPI}/common", PROTO, "envoy")
    names = [f"{folder}/{name}" for folder in folders for name in others]
    settings = ["envoy/mesh.yaml", "api-specs/messages.yaml", "api-specs/observability.yaml"]
    assert list_errors(tmp_path, *names, *settings, "api-specs/released/protos.binpb") == []


def test_files_are_not_compared_after_other_errors(tmp_path: Path) -> None:
    """The references of contracts, and the files that buf compiles, are then unknown."""
    create_files(tmp_path, f"{OPENAPI}/common/money.yaml", f"{PROTO}/library/loans/v1/loans.proto")
    assert list(find_unread_files(tmp_path, None, None)) == []


def test_repository_has_no_other_files() -> None:
    assert list(find_unread_files(ROOT, None, None)) == []
