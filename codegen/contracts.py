"""Input of all generators: the OpenAPI files and the compiled protobuf packages."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codegen.errors import ContractError as ContractError  # noqa: PLC0414 (re-export)
from codegen.errors import ContractErrors
from codegen.mesh import MESH_FILE, load_mesh
from codegen.openapi.findings import HTTP_METHODS as HTTP_METHODS  # noqa: PLC0414 (re-export)
from codegen.openapi.findings import OpenApiFile
from codegen.openapi.names import check_file_names
from codegen.openapi.reader import read_openapi_file
from codegen.proto_rules.locations import PROTO_FOLDER
from codegen.protobuf import ProtoContracts, load_protos, parse_image
from codegen.unread_files import find_unread_files
from codegen.yaml_input import list_yaml_files

type Files = dict[str, str | bytes]
"""Output of a generator: content by path relative to `generated/`."""

DESCRIPTORS = "generated/descriptors.binpb"
"""Committed descriptor set of the protobuf files."""

OPENAPI_FOLDER = "api-specs/openapi"
REPOSITORY = Path(__file__).parents[1]


@dataclass(frozen=True)
class Contracts:
    """The parsed contracts."""

    openapi: dict[str, dict[str, Any]]
    """By file stem ("library"); references are unresolved, and all of them are local."""
    protos: ProtoContracts
    mesh: Mapping[str, Any]
    """Content of `envoy/mesh.yaml`."""
    files: Mapping[str, OpenApiFile] = field(default_factory=dict)
    """The OpenAPI files by stem, for locations in errors. Contracts in memory have none."""
    root: Path = REPOSITORY
    """Folder of `api-specs/`, with the settings of the generators that are not contracts."""

    @property
    def name(self) -> str:
        """Return the name of the mesh, which is also the stem of the served API and the first part of the packages."""
        name: str = self.mesh["name"]
        return name

    def check_served_document(self) -> None:
        """Raise ContractError if no document describes the API that the gateway serves."""
        if self.name not in self.openapi:
            problem = f"{OPENAPI_FOLDER}/{self.name}.yaml is missing, which describes the API of the mesh {self.name}"
            raise ContractError(f"{problem}; add it, or correct the name in {MESH_FILE}")

    def get_rest_path(self, module: str) -> str:
        """Return the path of a module of the served API, relative to `generated/`."""
        return f"rest/{self.name}/{module}.py"

    def format_location(self, api: str, *pointer: str | int) -> str:
        """Return the place of a node for an error: `api-specs/openapi/library.yaml:123: operation listThings`."""
        file = self.files.get(api) or OpenApiFile(f"{api}.yaml", self.openapi[api])
        return f"{file.format_location(pointer)}: {file.describe(pointer)}"

    def resolve_reference(self, api: str, node: dict[str, Any] | bool) -> dict[str, Any]:
        """Return the node at the end of a chain of `$ref`. The schema `true` is the same as an empty one."""
        resolved: Any = node
        while isinstance(resolved, dict) and "$ref" in resolved:
            target: Any = self.openapi[api]
            for part in resolved["$ref"].removeprefix("#/").split("/"):
                target = target[part.replace("~1", "/").replace("~0", "~")]
            resolved = target
        return resolved if isinstance(resolved, dict) else {}

    def get_schemas(self, api: str) -> dict[str, dict[str, Any]]:
        """Return the named schemas of one file."""
        schemas: dict[str, dict[str, Any]] = self.openapi[api].get("components", {}).get("schemas", {})
        return schemas


def load(root: Path) -> Contracts:
    """Read `api-specs/` and `envoy/mesh.yaml` below `root`.

    Raises ContractError with all errors of the files.
    """
    return _load(root, lambda: load_protos(root), find_unread=True)


def load_compiled(root: Path) -> Contracts:
    """Read the OpenAPI files and the committed descriptor set below `root`, without buf."""
    return _load(root, lambda: parse_image((root / DESCRIPTORS).read_bytes()))


def _load(root: Path, read_protos: Callable[[], ProtoContracts], *, find_unread: bool = False) -> Contracts:
    errors, files, protos = ContractErrors(), dict[str, OpenApiFile](), list[ProtoContracts]()
    mesh = load_mesh(root)
    with errors.collect():
        paths = list_yaml_files(root, OPENAPI_FOLDER)
        check_file_names(paths, errors)
        for path in paths:
            if (file := read_openapi_file(root, path, errors, is_served=path.stem == mesh["name"])) is not None:
                files[path.stem] = file
    referenced = (
        None if errors.messages else {origin.path for file in files.values() for origin in file.origins.values()}
    )
    with errors.collect():
        protos.append(read_protos())
    if find_unread:
        compiled = {f"{PROTO_FOLDER}/{file.name}" for source in protos for file in source.descriptors.file}
        errors.messages += find_unread_files(root, referenced, compiled or None)
    errors.raise_if_any()
    return Contracts({stem: file.document for stem, file in files.items()}, protos[0], mesh, files, root)
