"""Reader of `envoy/mesh.yaml`: name of the mesh, sidecars, addresses and connections of the services."""

import keyword
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from codegen.errors import ContractError
from codegen.typed_documents import convert_document, read_mapping

MESH_FILE = "envoy/mesh.yaml"
REQUIRED_KEYS = ("trust_domain", "sidecars", "settings")
GATEWAY = "gateway"
"""Service that the edge's sidecar belongs to; no contract calls it."""

OPERATOR_SIDECAR = "ops"
"""Sidecar for operators, which belongs to no service."""

APPS_KEY = "apps"
"""Key of the web apps that the edge serves, each at /NAME."""

PLACEHOLDER = "${MESH}"
"""Placeholder of the name of the mesh in generated objects, which `insert_name` replaces."""

NAME_PATTERN = r"[a-z][a-z0-9]{1,30}"
"""Names of meshes: DNS labels that are also package names of Python and protobuf."""

OTLP_PORT = "OTLP_PORT"
SERVICE_PORTS = ("ADMIN_PORT", "PROBE_PORT")
"""Suffixes of the settings that each service has, with a default value."""


class _Setting(Struct, forbid_unknown_fields=True):
    about: str
    default: str | int | None = None
    development: str | int | None = None
    port: bool = False


class _Connections(Struct, forbid_unknown_fields=True):
    stores: list[str] = []
    public_ports: list[int] | Literal["all"] = []


class _Mesh(Struct, forbid_unknown_fields=True):
    name: str
    trust_domain: Annotated[str, Meta(pattern=r"^[a-z0-9.-]+$")]
    sidecars: list[Annotated[str, Meta(pattern=rf"^{NAME_PATTERN}$")]]
    settings: dict[str, _Setting]
    connections: dict[str, _Connections] = {}
    obsolete_queues: list[str] = []
    apps: list[Annotated[str, Meta(pattern=rf"^{NAME_PATTERN}$")]] = []


def load_mesh(root: Path) -> dict[str, Any]:
    """Return the content of the file below `root`.

    Raises ContractError for a missing key, a value of another type, a name that is not valid, connections of an unknown
    service, and a service without ports.
    """
    document = read_mapping(root, MESH_FILE)
    mesh: dict[str, Any] = document.content
    name = mesh.get("name")
    if not isinstance(name, str) or not re.fullmatch(NAME_PATTERN, name) or keyword.iskeyword(name):
        raise ContractError(f"{MESH_FILE}: the name {name!r} is not valid; write a-z and 0-9")
    if missing := [key for key in REQUIRED_KEYS if key not in mesh]:
        raise ContractError(f"{MESH_FILE}: the key {missing[0]} is missing; add it")
    typed = convert_document(document, _Mesh)
    if unknown := [*mesh.get("connections", {}).keys() - {*list_services(mesh)}]:
        raise ContractError(f"{MESH_FILE}: connections of unknown services: {', '.join(sorted(unknown))}")
    if GATEWAY not in typed.sidecars or len(set(typed.sidecars)) < len(typed.sidecars):
        raise ContractError(f"{MESH_FILE}: the sidecars lack {GATEWAY}, or one occurs twice; correct the list")
    ports = [OTLP_PORT, *(f"{service.upper()}_INGRESS_PORT" for service in list_callees(mesh))]
    ports += [f"{service.upper()}_{suffix}" for service in list_services(mesh) for suffix in SERVICE_PORTS]
    if errors := [
        f"{MESH_FILE}: the setting {port} is missing, or has no default; add it"
        for port in ports
        if port not in typed.settings or typed.settings[port].default is None
    ]:
        raise ContractError(*errors)
    return mesh


def list_services(mesh: Mapping[str, Any]) -> list[str]:
    """Return the names of the services."""
    return [name for name in mesh["sidecars"] if name != OPERATOR_SIDECAR]


def list_callees(mesh: Mapping[str, Any]) -> list[str]:
    """Return the names of the services that other services call."""
    return [name for name in list_services(mesh) if name != GATEWAY]


def insert_name(node: Any, name: str) -> Any:
    """Return a tree of objects with the name of the mesh instead of its placeholder."""
    if isinstance(node, dict):
        return {insert_name(key, name): insert_name(value, name) for key, value in node.items()}
    if isinstance(node, list):
        return [insert_name(item, name) for item in node]
    return node.replace(PLACEHOLDER, name) if isinstance(node, str) else node
