"""Projects of the Python clients. Programs that write an expected file stand for the generators."""

import json
import tomllib
from pathlib import Path

import pytest

from codegen import python_clients
from codegen.contracts import Contracts
from codegen.rest.published_openapi import publish_document
from tests.unit.codegen.sample_contracts import create_contracts

PROTO = 'syntax = "proto3";\npackage delivery.notes.v1;\nmessage Note { string text = 1; }\n'


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the generators, which is empty."""
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setattr(python_clients, "TOOLS", folder)
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Contracts:
    """Return the sample contracts, with a protobuf file."""
    proto = tmp_path / "api-specs/proto/delivery/notes/v1/notes.proto"
    proto.parent.mkdir(parents=True)
    proto.write_text(PROTO, encoding="utf-8")
    contracts = create_contracts()
    return Contracts(contracts.openapi, contracts.protos, contracts.mesh, root=tmp_path)


def write_program(path: Path, script: str = "exit 0") -> None:
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)


def test_rest_client_is_generated_from_the_published_document(source: Contracts, tools: Path, tmp_path: Path) -> None:
    write_program(tools / "openapi-python-client", f'printf "%s\\n" "$@" >{tmp_path}/arguments')
    folder = tmp_path / "rest"
    python_clients.write_rest_client(source, folder)
    command, *options = (tmp_path / "arguments").read_text(encoding="utf-8").splitlines()
    values = dict(option.split("=", 1) for option in options)
    assert (command, values["--output-path"]) == ("generate", str(folder))
    document = json.loads(Path(values["--path"]).read_text(encoding="utf-8"))
    assert document == publish_document(source.openapi["delivery"])
    config = json.loads(Path(values["--config"]).read_text(encoding="utf-8"))
    assert config == {"project_name_override": "delivery-client", "package_name_override": "delivery_client"}


def test_rpc_client_has_messages_and_project_of_the_version(source: Contracts, tools: Path, tmp_path: Path) -> None:
    for name in ("mypy", "mypy_grpc"):
        write_program(tools / f"protoc-gen-{name}", "cat >/dev/null")
    python_clients.write_rpc_client(source, tmp_path / "rpc")
    package = tmp_path / "rpc/delivery"
    assert (package / "py.typed").exists()
    assert (package / "notes/v1/notes_pb2.py").exists()
    project = tomllib.loads((tmp_path / "rpc/pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (project["name"], project["version"]) == ("delivery-rpc", "1.2.3")
    assert [each.partition(">=")[0] for each in project["dependencies"]] == ["grpcio", "protobuf"]


def test_failing_generator_ends_the_process_with_its_output(source: Contracts, tools: Path, tmp_path: Path) -> None:
    write_program(tools / "openapi-python-client", "echo broken; exit 3")
    with pytest.raises(SystemExit, match=r"openapi-python-client failed:\nbroken\n"):
        python_clients.write_rest_client(source, tmp_path / "rest")
