"""Where this machine's mesh keeps its things, and on which ports it listens."""

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
"""The kernel allows 107 bytes for a unix socket's path."""

LOCAL_PORTS = {
    "SANDBOX_PORT": (8090, "the outside world"),
    "TRACES_PORT": (16686, "the trace page"),
    "OTLP_HTTP_PORT": (4318, "where spans go, by HTTP"),
    "SMTP_PORT": (1025, "the sandbox's mail sink"),
    "APNS_PORT": (2197, "the sandbox's push service for Apple's phones (HTTP/2)"),
    "POSTGRES_PORT": (25432, "PostgreSQL"),
    "RABBITMQ_PORT": (25672, "RabbitMQ"),
    "RABBITMQ_DIST_PORT": (25673, "RabbitMQ's Erlang distribution"),
    "EPMD_PORT": (24369, "Erlang's port mapper"),
    "MEMCACHED_PORT": (21211, "Memcached"),
    "STORAGE_PORT": (24443, "object storage"),
    "DOCUMENTS_PORT": (27117, "the document store"),
}
"""Ports that envoy/mesh.yaml does not know: default, and what it is for."""


class MeshConfig:
    """One mesh. `DELIVERY_STATE` names its folder, `PORT_OFFSET` shifts its ports, so that several can run at once."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._environment = environment
        self.folder = Path(environment.get("DELIVERY_STATE", str(ROOT / ".local"))).absolute()
        self._port_offset = int(environment.get("PORT_OFFSET", "0"))

    @cached_property
    def mesh_settings(self) -> dict[str, dict[str, Any]]:
        """The settings of envoy/mesh.yaml, by name."""
        return render_bootstrap.load_placeholders()

    @cached_property
    def ports(self) -> dict[str, tuple[int, str]]:
        """Every port by the name of its variable: its number here, and what it is for."""
        known = {
            name: (int(render_bootstrap.default_value(s, "development") or 0), str(s["about"]))
            for name, s in self.mesh_settings.items()
            if s.get("port")
        }
        return {
            name: (self.resolve_port(name, default), about) for name, (default, about) in (known | LOCAL_PORTS).items()
        }

    def resolve_port(self, name: str, default: int) -> int:
        """A port, as the environment says or by its default and the offset."""
        return int(self._environment.get(name, default + self._port_offset))

    def get_port(self, name: str) -> int:
        """The number of a port."""
        return self.ports[name][0]

    def get_setting(self, name: str) -> str:
        """A setting of envoy/mesh.yaml that is no port."""
        return self._environment.get(name, str(render_bootstrap.default_value(self.mesh_settings[name], "development")))

    @property
    def bind_address(self) -> str:
        """The address everything binds to."""
        return self.get_setting("BIND")

    @cached_property
    def socket_dir(self) -> Path:
        """The folder of unix sockets, for its owner only; a short one elsewhere when its own path is too long."""
        folder = self.folder / "run"
        if len(str(folder)) > MAX_SOCKET_PATH_BYTES - len("/notifications-egress.sock"):
            name = hashlib.sha256(str(self.folder).encode()).hexdigest()[:12]
            folder = Path(tempfile.gettempdir()) / f"delivery-{os.getuid()}-{name}"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.is_symlink() or folder.stat().st_uid != os.getuid():
            raise PermissionError(f"{folder} is somebody else's; remove it, or set DELIVERY_STATE to a shorter path")
        folder.chmod(0o700)
        return folder

    def ensure_subdirectory(self, name: str) -> Path:
        """A folder of the mesh's own, made if it is missing."""
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def edge_url(self) -> str:
        """Where the edge is."""
        return f"http://{self.bind_address}:{self.get_port('EDGE_PORT')}"

    @property
    def sandbox_url(self) -> str:
        """Where the outside world is."""
        return f"http://{self.bind_address}:{self.get_port('SANDBOX_PORT')}"

    @property
    def traces_url(self) -> str:
        """Where the trace page is."""
        return f"http://{self.bind_address}:{self.get_port('TRACES_PORT')}"
