"""Network of the cluster: a namespace with an address for each machine, connected by a bridge in another namespace."""

import hashlib
import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from deploy.cluster.machines import MACHINES, OUTSIDE, PREFIX_LENGTH, Machine, list_hosts
from generated import mesh

NAMESPACES = Path("/run/netns")
NAMESPACE_FILES = Path("/etc/netns")
"""Folder whose files `ip netns exec` shows below /etc; see ip-netns(8)."""

BRIDGE = "bridge"
INTERFACE = "eth0"


class Network:
    """The namespaces of one cluster, whose names contain a digest of its folder."""

    def __init__(self, root: Path) -> None:
        digest = hashlib.sha256(os.fsencode(root)).hexdigest()[:6]
        self._prefix = f"{mesh.NAME}-{digest}"
        self._switch = f"{self._prefix}-switch"

    def get_namespace(self, machine: Machine) -> str:
        """Return the name of a machine's namespace."""
        return f"{self._prefix}-{machine.name}"

    def create(self) -> None:
        """Create the namespaces, after those of an earlier cluster have been deleted. This needs root."""
        self.delete()
        _run_ip("netns", "add", self._switch)
        _run_ip("-n", self._switch, "link", "add", BRIDGE, "type", "bridge")
        _run_ip("-n", self._switch, "link", "set", BRIDGE, "up")
        for machine in (OUTSIDE, *MACHINES):
            namespace = self.get_namespace(machine)
            _run_ip("netns", "add", namespace)
            peer = ("type", "veth", "peer", "name", INTERFACE, "netns", namespace)
            _run_ip("-n", self._switch, "link", "add", machine.name, *peer)
            _run_ip("-n", self._switch, "link", "set", machine.name, "master", BRIDGE, "up")
            _run_ip("-n", namespace, "addr", "add", f"{machine.address}/{PREFIX_LENGTH}", "dev", INTERFACE)
            for interface in ("lo", INTERFACE):
                _run_ip("-n", namespace, "link", "set", interface, "up")
        hosts = NAMESPACE_FILES / self.get_namespace(OUTSIDE) / "hosts"
        hosts.parent.mkdir(parents=True, exist_ok=True)
        lines = [("127.0.0.1", "localhost"), *list_hosts()]
        hosts.write_text("".join(f"{address}\t{name}\n" for address, name in lines), encoding="utf-8")

    def delete(self) -> None:
        """Delete the namespaces, and kill the processes that are left in them."""
        for namespace in self._list_namespaces():
            for pid in _run_ip("netns", "pids", namespace).split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            _run_ip("netns", "delete", namespace)
        folder = NAMESPACE_FILES / self.get_namespace(OUTSIDE)
        if folder.exists():
            (folder / "hosts").unlink(missing_ok=True)
            folder.rmdir()

    def exists(self) -> bool:
        """Return whether the namespaces exist."""
        return bool(self._list_namespaces())

    def _list_namespaces(self) -> list[str]:
        return sorted(path.name for path in NAMESPACES.glob(f"{self._prefix}-*"))

    def disconnect(self, machine: Machine) -> None:
        """Partition a machine from all others: its frames are dropped without an error."""
        _run_ip("-n", self._switch, "link", "set", machine.name, "nomaster")

    def reconnect(self, machine: Machine) -> None:
        """End the partition of a machine."""
        _run_ip("-n", self._switch, "link", "set", machine.name, "master", BRIDGE)

    def build_outside_command(self, command: Sequence[str]) -> list[str]:
        """Return a command that runs outside of all machines, and resolves the names of the hosts."""
        return ["ip", "netns", "exec", self.get_namespace(OUTSIDE), *command]

    def build_machine_command(
        self, machine: Machine, command: Sequence[str], folder: Path, user: int | None = None
    ) -> list[str]:
        """Return a command that runs on a machine, in a folder; it is run by a process of the outside namespace."""
        identity = [] if user is None else [f"--setuid={user}", f"--setgid={user}"]
        namespace = NAMESPACES / self.get_namespace(machine)
        return ["nsenter", f"--net={namespace}", f"--wd={folder}", *identity, "--", *command]


def _run_ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True, encoding="utf-8").stdout
