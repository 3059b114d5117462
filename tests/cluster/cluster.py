"""The running cluster as the target of clients, and its processes and leaders."""

import json
import os
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import override

import httpx
import psutil
from pymongo.errors import PyMongoError

from deploy.cluster.machines import DATA_MACHINES, OUTSIDE, Machine, MachineConfig
from deploy.cluster.network import Network
from deploy.cluster.postgres import ETCD_CLIENT_PORT, PATRONI_PORT
from deploy.local.infrastructure.mongodb import connect_admin, get_admin_socket
from deploy.local.pki.secrets import Secrets
from tests.chaos.mesh import Mesh


class Cluster(Mesh):
    """The cluster in a folder; this process is outside of its machines."""

    config: MachineConfig

    def __init__(self, configs: Mapping[Machine, MachineConfig]) -> None:
        self.configs = configs
        self.config = configs[OUTSIDE]
        self.secrets = Secrets(self.config)
        self.environment = {**os.environ}
        self.network = Network(self.config.folder)

    @override
    def send_signal(self, name: str, signal_number: int) -> bool:
        """Send a signal to a process and its descendants, and to PostgreSQL, which is no descendant of Patroni."""
        machine_name, _, engine = name.partition("-")
        if engine == "postgres":
            folder = self.config.folder / machine_name / "patroni/data"
            with suppress(FileNotFoundError, psutil.NoSuchProcess):
                pid = int((folder / "postmaster.pid").read_text(encoding="utf-8").split()[0])
                server = psutil.Process(pid)
                for process in [server, *server.children(recursive=True)]:
                    process.send_signal(signal_number)
        return super().send_signal(name, signal_number)

    def are_all_processes_ready(self) -> bool:
        """Return whether the supervisor reports every process as ready."""
        return all(state.state == "ready" for state in self.read_process_states().values())

    def is_postgres_redundant(self) -> bool:
        """Return whether PostgreSQL has a leader, a synchronous standby and another standby that is streaming."""
        for machine in DATA_MACHINES:
            content = _get(f"http://{machine.address}:{PATRONI_PORT}/cluster")
            if content is not None:
                members = json.loads(content)["members"]
                roles = Counter(member["role"] for member in members if member["state"] in ("running", "streaming"))
                return roles["leader"] == roles["sync_standby"] == 1 and roles.total() == len(DATA_MACHINES)
        return False

    def find_leader(self, engine: str) -> Machine | None:
        """Return the machine of the leader of an engine, or None during an election."""
        find = {"postgres": self._is_postgres_leader, "documents": self._is_primary, "etcd": self._is_etcd_leader}
        return next((machine for machine in DATA_MACHINES if find[engine](machine)), None)

    def _is_postgres_leader(self, machine: Machine) -> bool:
        return _get(f"http://{machine.address}:{PATRONI_PORT}/leader") is not None

    def _is_etcd_leader(self, machine: Machine) -> bool:
        metrics = _get(f"http://{machine.address}:{ETCD_CLIENT_PORT}/metrics") or ""
        return "\netcd_server_is_leader 1\n" in metrics

    def _is_primary(self, machine: Machine) -> bool:
        try:
            with connect_admin(get_admin_socket(self.configs[machine])) as client:
                return bool(client.admin.command("hello")["isWritablePrimary"])
        except PyMongoError:
            return False


def _get(url: str) -> str | None:
    """Return the body of a successful response, or None."""
    try:
        response = httpx.get(url, trust_env=False, timeout=2)
    except httpx.TransportError:
        return None
    return response.text if response.is_success else None
