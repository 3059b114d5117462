"""What every generator reads: the OpenAPI files as they stand, and the compiled protobuf packages."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from codegen.errors import ContractError as ContractError
from codegen.protobuf import ProtoContracts, load_protos

type Files = dict[str, str | bytes]
"""What a generator makes: a path relative to `generated/`, and the file's content."""

HTTP_METHODS = ("get", "put", "post", "delete", "patch")


@dataclass(frozen=True)
class Contracts:
    """The single source of truth, parsed."""

    openapi: dict[str, dict[str, Any]]
    """By file stem ("delivery"); references are left as they are, and all of them are local."""
    protos: ProtoContracts

    def resolve_reference(self, api: str, node: dict[str, Any]) -> dict[str, Any]:
        """Follows `$ref` until it ends at something that is none."""
        while "$ref" in node:
            target: Any = self.openapi[api]
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part.replace("~1", "/").replace("~0", "~")]
            node = target
        return node

    def schemas(self, api: str) -> dict[str, dict[str, Any]]:
        """The named schemas of one file."""
        schemas: dict[str, dict[str, Any]] = self.openapi[api]["components"]["schemas"]
        return schemas


def load(root: Path) -> Contracts:
    """Reads `api-specs/` below `root`; a file that does not parse stops everything."""
    openapi = {
        file.stem: yaml.load(file.read_text(), Loader=yaml.CSafeLoader)
        for file in sorted((root / "api-specs/openapi").glob("*.yaml"))
    }
    return Contracts(openapi=openapi, protos=load_protos(root))
