"""Reader of `envoy/mesh.yaml`: sidecars, addresses and connections of the services."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from codegen.contracts import ContractError

MESH_FILE = Path(__file__).parents[1] / "envoy/mesh.yaml"
GATEWAY = "gateway"
"""Service that the edge's sidecar belongs to; no contract calls it."""

OPERATOR_SIDECAR = "ops"
"""Sidecar for operators, which belongs to no service."""


def load_mesh() -> dict[str, Any]:
    """Return the content of the file. Raises ContractError for connections of an unknown service."""
    mesh: dict[str, Any] = yaml.load(MESH_FILE.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    if unknown := [*mesh.get("connections", {}).keys() - {*list_services(mesh)}]:
        raise ContractError(f"envoy/mesh.yaml: connections of unknown services: {', '.join(sorted(unknown))}")
    return mesh


def list_services(mesh: Mapping[str, Any]) -> list[str]:
    """Return the names of the services."""
    return [name for name in mesh["sidecars"] if name != OPERATOR_SIDECAR]


def list_callees(mesh: Mapping[str, Any]) -> list[str]:
    """Return the names of the services that other services call."""
    return [name for name in list_services(mesh) if name != GATEWAY]
