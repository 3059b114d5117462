"""Folders, ports and settings of a local mesh."""

import hashlib
import os
import tempfile
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from deploy import render_bootstrap

ROOT = Path(__file__).parents[2]

MAX_SOCKET_PATH_BYTES = 90
"""Maximum length of a socket path; Linux allows 107 bytes."""

LOCAL_PORTS = {
    "SANDBOX_PORT": (8090, "the sandbox"),
    "TRACES_PORT": (16686, "the trace viewer"),
    "OTLP_HTTP_PORT": (4318, "OTLP over HTTP"),
    "SMTP_PORT": (1025, "the sandbox's mail sink"),
    "APNS_PORT": (2197, "the sandbox's APNs (HTTP/2)"),
    "POSTGRES_PORT": (25432, "PostgreSQL"),
    "RABBITMQ_PORT": (25672, "RabbitMQ"),
    "RABBITMQ_DIST_PORT": (25673, "RabbitMQ's Erlang distribution"),
    "EPMD_PORT": (24369, "RabbitMQ's Erlang port mapper"),
    "MEMCACHED_PORT": (21211, "Memcached"),
    "STORAGE_PORT": (24443, "object storage"),
    "DOCUMENTS_PORT": (27117, "the document store"),
}
"""Ports that envoy/mesh.yaml does not define, with defaults and descriptions."""


class MeshConfig:
    """Configuration of one mesh.

    The environment variables DELIVERY_STATE (folder) and PORT_OFFSET (added to all ports) allow several meshes at once.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._environment = environment
        self.folder = Path(environment.get("DELIVERY_STATE", str(ROOT / ".local"))).absolute()
        self._port_offset = int(environment.get("PORT_OFFSET", "0"))

    @cached_property
    def mesh_settings(self) -> dict[str, dict[str, Any]]:
        """Return the settings of envoy/mesh.yaml, by name."""
        return render_bootstrap.load_placeholders()

    @cached_property
    def ports(self) -> dict[str, tuple[int, str]]:
        """Return number and description of every port, by the name of its environment variable."""
        mesh_ports = {
            name: (int(render_bootstrap.get_default_value(entry, "development") or 0), str(entry["about"]))
            for name, entry in self.mesh_settings.items()
            if entry.get("port")
        }
        return {
            name: (self.resolve_port(name, default), description)
            for name, (default, description) in (mesh_ports | LOCAL_PORTS).items()
        }

    def resolve_port(self, name: str, default: int) -> int:
        """Return a port from its environment variable, or else its default plus the offset."""
        return int(self._environment.get(name, default + self._port_offset))

    def get_port(self, name: str) -> int:
        """Return the number of a port."""
        return self.ports[name][0]

    def get_setting(self, name: str) -> str:
        """Return a setting of envoy/mesh.yaml other than a port."""
        return self._environment.get(
            name, str(render_bootstrap.get_default_value(self.mesh_settings[name], "development"))
        )

    @property
    def bind_address(self) -> str:
        """Return the address that all processes listen on."""
        return self.get_setting("BIND")

    @cached_property
    def socket_dir(self) -> Path:
        """Return the folder of Unix sockets, with mode 0700; a temporary folder if the path would be too long.

        Raises PermissionError if another user owns the folder.
        """
        folder = self.folder / "run"
        if len(str(folder)) > MAX_SOCKET_PATH_BYTES - len("/notifications-egress.sock"):
            name = hashlib.sha256(str(self.folder).encode()).hexdigest()[:12]
            folder = Path(tempfile.gettempdir()) / f"delivery-{os.getuid()}-{name}"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.is_symlink() or folder.stat().st_uid != os.getuid():
            raise PermissionError(f"another user owns {folder}; remove it, or set DELIVERY_STATE to a shorter path")
        folder.chmod(0o700)
        return folder

    def ensure_subdirectory(self, name: str) -> Path:
        """Return a subfolder of the mesh's folder, and create it if it is missing."""
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def mongodb_url(self) -> str | None:
        """Return the URL of an existing MongoDB, with `{service}` for the name of a service, or None to start mongod.

        Exits the process if the URL does not contain `{service}`.
        """
        url = self._environment.get("MONGODB_URL")
        if url and "{service}" not in url:
            raise SystemExit("MONGODB_URL does not contain {service}: each service needs a database of its own")
        return url or None

    @property
    def edge_url(self) -> str:
        """Return the URL of the edge."""
        return f"http://{self.bind_address}:{self.get_port('EDGE_PORT')}"

    @property
    def sandbox_url(self) -> str:
        """Return the URL of the sandbox."""
        return f"http://{self.bind_address}:{self.get_port('SANDBOX_PORT')}"

    @property
    def traces_url(self) -> str:
        """Return the URL of the trace viewer."""
        return f"http://{self.bind_address}:{self.get_port('TRACES_PORT')}"
