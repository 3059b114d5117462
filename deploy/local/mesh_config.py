"""Folders, ports and settings of a local mesh."""

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from deploy import render_bootstrap
from services.runtime.config.document_store import URL_ERROR, is_documents_url
from services.runtime.config.origins import ORIGINS_ERROR, is_origin_list
from services.runtime.config.settings import SettingsError

ROOT = Path(__file__).parents[2]

OPERATOR_SIDECAR = "ops"
"""Sidecar of envoy/mesh.yaml without a service."""

SERVICES = tuple(name for name in render_bootstrap.load_mesh()["sidecars"] if name != OPERATOR_SIDECAR)
"""Services of the mesh: the sidecars of envoy/mesh.yaml, except the one for operators."""

CALLEES = tuple(name for name in SERVICES if name != "gateway")
"""Services that other services call by RPC."""

MAX_SOCKET_PATH_BYTES = 90
"""Maximum length of a socket path; Linux allows 107 bytes."""

FORBIDDEN_PATH_PATTERN = re.compile(r"[\"'`\\:$\x00-\x1f\x7f]")
"""Characters that configuration files, shell scripts or search paths of the servers would have to quote."""

SOCKET_PATH_PATTERN = re.compile(r"[A-Za-z0-9/._+@=,~-]+")
"""Paths that gRPC targets and MongoDB URLs contain unencoded."""

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
        """Read folder and offset. Raises SettingsError for an offset that is not a number."""
        self._environment = environment
        self.folder = Path(environment.get("DELIVERY_STATE") or ROOT / ".local").absolute()
        offset = environment.get("PORT_OFFSET") or "0"
        if not re.fullmatch(r"\d{1,5}", offset, re.ASCII):
            raise SettingsError("invalid environment:\n  PORT_OFFSET: is not a number from 0 to 65535")
        self._port_offset = int(offset)

    def validate(self) -> None:
        """Raise SettingsError, which names each invalid setting without its value."""
        if errors := [*self._iter_errors()]:
            raise SettingsError("\n  ".join(("invalid environment:", *errors)))

    def _iter_errors(self) -> Iterator[str]:
        for name, path in (("DELIVERY_STATE", self.folder), ("the path of the repository", ROOT)):
            if FORBIDDEN_PATH_PATTERN.search(str(path)):
                yield f"{name}: contains a quote, a backslash, a colon, a dollar sign or a control character"
        state = self._environment.get("DELIVERY_STATE", "")
        if state != state.strip():
            yield "DELIVERY_STATE: begins or ends with a space"
        if self.folder.exists() and not self.folder.is_dir():
            yield "DELIVERY_STATE: is not a folder"
        errors = [*render_bootstrap.iter_value_errors(self._environment)]
        errors += [
            f"{name}: is an IPv6 address; the local mesh listens on an IPv4 address"
            for name in ("BIND", "ADMIN_BIND")
            if render_bootstrap.is_ip_address(address := self.get_setting(name)) and ip_address(address).version != 4
        ]
        errors += [
            render_bootstrap.PORT_ERROR.format(name=name)
            for name in LOCAL_PORTS
            if (value := self._environment.get(name)) and not render_bootstrap.is_port(value)
        ]
        yield from errors
        if not errors and any(number > render_bootstrap.MAX_PORT for number, _ in self.ports.values()):
            yield f"PORT_OFFSET: is too high: every port is at most {render_bootstrap.MAX_PORT}"
        elif not errors:
            yield from self._iter_equal_ports()
        if url := self.mongodb_url:
            if not is_documents_url(url.replace("{service}", "service")):
                yield f"MONGODB_URL: {URL_ERROR}"
            elif "{service}" not in url:
                yield "MONGODB_URL: does not contain {service}, but each service needs a database of its own"
        if (targets := self._environment.get("ALLOWED_TARGETS")) and not is_origin_list(targets):
            yield f"ALLOWED_TARGETS: {ORIGINS_ERROR}"

    def _iter_equal_ports(self) -> Iterator[str]:
        """Yield an error for each changed port that equals another one. JWKS_PORT is a port of the sandbox."""
        listeners = [(name, number) for name, (number, _) in self.ports.items() if name != "JWKS_PORT"]
        # The default ports differ, so that a changed port is the second one of every equal pair.
        listeners.sort(key=lambda listener: bool(self._environment.get(listener[0])))
        names: dict[int, str] = {}
        for name, number in listeners:
            if (other := names.setdefault(number, name)) != name:
                yield f"{name}: is the same port as {other}"

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
        return int(self._environment.get(name) or default + self._port_offset)

    def get_port(self, name: str) -> int:
        """Return the number of a port."""
        return self.ports[name][0]

    def list_addresses(self, port_name: str) -> list[str]:
        """Return the address, as host:port, of each server that listens on a port."""
        return [f"{self.bind_address}:{self.get_port(port_name)}"]

    def get_setting(self, name: str) -> str:
        """Return a setting of envoy/mesh.yaml other than a port."""
        default = str(render_bootstrap.get_default_value(self.mesh_settings[name], "development"))
        return self._environment.get(name) or default

    @property
    def bind_address(self) -> str:
        """Return the address that all processes listen on, except the admin interfaces of Envoy."""
        return self.get_setting("BIND")

    @property
    def admin_bind_address(self) -> str:
        """Return the address that the admin interfaces of Envoy listen on."""
        return self.get_setting("ADMIN_BIND")

    def _get_socket_dir_path(self) -> Path:
        folder = self.folder / "run"
        is_short = len(os.fsencode(folder)) <= MAX_SOCKET_PATH_BYTES - max(
            len(f"/{name}-egress.sock") for name in SERVICES
        )
        if is_short and SOCKET_PATH_PATTERN.fullmatch(str(folder)):
            return folder
        name = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"delivery-{os.getuid()}-{name}"

    def remove_temporary_socket_dir(self) -> None:
        """Remove the folder of Unix sockets if it is outside the mesh's folder; no process may use it."""
        folder = self._get_socket_dir_path()
        if not folder.is_relative_to(self.folder) and folder.exists() and not folder.is_symlink():
            shutil.rmtree(folder)

    @cached_property
    def socket_dir(self) -> Path:
        """Return the folder of Unix sockets, with mode 0700.

        It is a temporary folder if the path would be too long, or contains characters that the URLs of sockets would
        have to encode. Raises PermissionError if another user owns the folder.
        """
        folder = self._get_socket_dir_path()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.is_symlink() or folder.stat().st_uid != os.getuid():
            raise PermissionError(f"another user owns {folder}; remove it, or set DELIVERY_STATE to a shorter path")
        folder.chmod(0o700)
        return folder

    def create_folder(self) -> None:
        """Create the mesh's folder if it is missing, so that other users cannot list it.

        That of root can be entered: PostgreSQL runs as another user, who owns its data folder.
        """
        self.folder.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)

    def ensure_subdirectory(self, name: str) -> Path:
        """Return a subfolder of the mesh's folder with mode 0700, and create it if it is missing.

        Data, logs and mails of the subfolders are personal data.
        """
        folder = self.folder / name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        return folder

    @property
    def mongodb_url(self) -> str | None:
        """Return the URL of an existing MongoDB, with `{service}` for a service's name, or None to start mongod."""
        return self._environment.get("MONGODB_URL") or None

    @property
    def edge_url(self) -> str:
        """Return the URL of the edge."""
        return f"http://{self.bind_address}:{self.get_port('EDGE_PORT')}"

    @property
    def sandbox_url(self) -> str:
        """Return the URL of the sandbox."""
        return f"http://{self.list_addresses('SANDBOX_PORT')[0]}"

    @property
    def traces_url(self) -> str:
        """Return the URL of the trace viewer."""
        return f"http://{self.list_addresses('TRACES_PORT')[0]}"
