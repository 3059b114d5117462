"""The running cluster as the target of clients, and its processes and leaders."""

import json
import os
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import override

import httpx
import psutil
import psycopg
from pymongo.errors import PyMongoError

from deploy.cluster.machines import DATA_MACHINES, ETCD_MACHINES, OUTSIDE, Machine, MachineConfig
from deploy.cluster.network import Network
from deploy.cluster.postgres import ETCD_CLIENT_PORT, PATRONI_PORT, SUPERUSER
from deploy.local.infrastructure.mongodb import connect_admin, get_admin_socket
from deploy.local.pki.secrets import Secrets
from deploy.local.supervisor.supervisor_state import read_supervisor_state
from tests.chaos.mesh import Mesh
from tests.cluster.small_disk import SmallDisk


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
            folder = self._get_supervisor_root() / (self.config.folder / machine_name / "patroni/data").relative_to("/")
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
        machines = ETCD_MACHINES if engine == "etcd" else DATA_MACHINES
        return next((machine for machine in machines if find[engine](machine)), None)

    def get_disk(self, machine: Machine) -> SmallDisk:
        """Return the disk of PostgreSQL on a machine on which it is small."""
        return SmallDisk(self.configs[machine], self._get_supervisor_root())

    def _get_supervisor_root(self) -> Path:
        """Return the root folder of the supervisor, whose mount namespace has the small disk."""
        state = read_supervisor_state(self.config)
        return Path("/proc", str(state.pid if state else "self"), "root")

    def switch_wal_segment(self) -> None:
        """Make PostgreSQL continue its write-ahead log in another file, for which every node needs space."""
        url = f"postgresql://{SUPERUSER}@{','.join(self.config.list_addresses('POSTGRES_PORT'))}/postgres"
        password = self.secrets.get_password("postgres")
        with (
            suppress(psycopg.Error),
            psycopg.connect(
                url, password=password, target_session_attrs="read-write", autocommit=True, connect_timeout=2
            ) as connection,
        ):
            connection.execute("SET statement_timeout = '1s'")
            connection.execute("SELECT pg_switch_wal()")

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
