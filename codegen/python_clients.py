"""Python clients as wheels: `python -m codegen.python_clients FOLDER`.

openapi-python-client generates the client of the REST API from the published document. protoc and mypy-protobuf
generate messages and stubs for callers of the services by gRPC. Neither contains code of this repository.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from codegen import contracts
from codegen.contracts import Contracts
from codegen.proto_rules.locations import PROTO_FOLDER
from codegen.rest.published_openapi import publish_document

TOOLS = contracts.REPOSITORY / ".local/client-generators/bin"
"""Generators that `deploy/local/setup.sh clients` installs."""

RPC_PROJECT = """[project]
name = "{name}-rpc"
version = "{version}"
description = "Messages and gRPC stubs of the services of {title}."
license = "Apache-2.0"
requires-python = ">=3.10"
dependencies = ["grpcio>={grpcio}", "protobuf>={protobuf}"]
optional-dependencies = {{ types = ["types-grpcio", "types-protobuf"] }}

[tool.hatch.build.targets.wheel]
only-include = ["{name}"]
"""
"""Project of the client for gRPC, whose stubs require the versions of their generators or later ones."""


def write_rest_client(source: Contracts, folder: Path) -> None:
    """Write the project of the client for REST to a new folder."""
    document, config = folder.with_suffix(".json"), folder.with_suffix(".config.json")
    document.write_text(json.dumps(publish_document(source.openapi[source.name])), encoding="utf-8")
    names = {"project_name_override": f"{source.name}-client", "package_name_override": f"{source.name}_client"}
    config.write_text(json.dumps(names), encoding="utf-8")
    command = ["generate", "--meta=uv", f"--path={document}", f"--config={config}", f"--output-path={folder}"]
    _run(TOOLS / "openapi-python-client", *command)


def write_rpc_client(source: Contracts, folder: Path) -> None:
    """Write the project of the client for gRPC to a new folder."""
    folder.mkdir()
    protos = source.root / PROTO_FOLDER
    plugins = ("mypy", "mypy_grpc")
    _run(
        *(sys.executable, "-m", "grpc_tools.protoc", f"-I{protos}", f"-I{files('grpc_tools') / '_proto'}"),
        *(f"--plugin=protoc-gen-{name}={TOOLS / f'protoc-gen-{name}'}" for name in plugins),
        *(f"--{name}_out={folder}" for name in ("python", "grpc_python", *plugins)),
        *map(str, sorted(protos.rglob("*.proto"))),
    )
    (folder / source.name / "py.typed").touch()
    info = source.openapi[source.name]["info"]
    versions = {"grpcio": version("grpcio-tools"), "protobuf": version("protobuf")}
    project = RPC_PROJECT.format(name=source.name, title=info["title"], version=info["version"], **versions)
    (folder / "pyproject.toml").write_text(project, encoding="utf-8")


def build_wheels(source: Contracts, output: Path) -> None:
    """Build the wheels of both clients."""
    with tempfile.TemporaryDirectory() as folder:
        for name, write in (("rest", write_rest_client), ("rpc", write_rpc_client)):
            project = Path(folder) / name
            write(source, project)
            _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(output), folder=project)


def _run(*command: str | Path, folder: Path | None = None) -> None:
    """Run a generator. Exits the process with its output when it fails."""
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, encoding="utf-8")
    if result.returncode:
        sys.exit(f"{command[0]} failed:\n{result.stdout}{result.stderr}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="codegen.python_clients", description=__doc__)
    parser.add_argument("output", type=Path, help="folder of the wheels")
    parser.add_argument("--root", type=Path, default=contracts.REPOSITORY, help="folder of api-specs/")
    arguments = parser.parse_args()
    build_wheels(contracts.load_compiled(arguments.root.resolve()), arguments.output.resolve())


if __name__ == "__main__":
    main()
