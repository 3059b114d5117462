"""Input of all generators: the OpenAPI files and the compiled protobuf packages."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from codegen.errors import ContractError as ContractError  # noqa: PLC0414 (re-export)
from codegen.protobuf import ProtoContracts, load_protos, parse_image

type Files = dict[str, str | bytes]
"""Output of a generator: content by path relative to `generated/`."""

DESCRIPTORS = "generated/descriptors.binpb"
"""Committed descriptor set of the protobuf files."""

HTTP_METHODS = ("get", "put", "post", "delete", "patch")


@dataclass(frozen=True)
class Contracts:
    """The parsed contracts."""

    openapi: dict[str, dict[str, Any]]
    """By file stem ("delivery"); references are unresolved, and all of them are local."""
    protos: ProtoContracts

    def resolve_reference(self, api: str, node: dict[str, Any]) -> dict[str, Any]:
        """Return the node at the end of a chain of `$ref`."""
        while "$ref" in node:
            target: Any = self.openapi[api]
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part.replace("~1", "/").replace("~0", "~")]
            node = target
        return node

    def get_schemas(self, api: str) -> dict[str, dict[str, Any]]:
        """Return the named schemas of one file."""
        schemas: dict[str, dict[str, Any]] = self.openapi[api]["components"]["schemas"]
        return schemas


def load(root: Path) -> Contracts:
    """Read `api-specs/` below `root`.

    Raises ContractError when the protobuf files do not compile.
    """
    return Contracts(openapi=_load_openapi(root), protos=load_protos(root))


def load_compiled(root: Path) -> Contracts:
    """Read the OpenAPI files and the committed descriptor set below `root`, without buf."""
    return Contracts(openapi=_load_openapi(root), protos=parse_image((root / DESCRIPTORS).read_bytes()))


def _load_openapi(root: Path) -> dict[str, dict[str, Any]]:
    return {
        file.stem: yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        for file in sorted((root / "api-specs/openapi").glob("*.yaml"))
    }
