"""Simulated machines of the cluster, and the configuration of the processes on each of them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import override

from deploy import render_bootstrap
from deploy.local.mesh_config import CALLEES, ROOT, MeshConfig

FOLDER_NAME = "cluster"
NETWORK_PREFIX = "10.77.0."
PREFIX_LENGTH = 24

EDGE_HOST = "edge"
"""Host name of both edges."""

SHARED_FOLDERS = frozenset({"home", "logs", "pki", "secrets"})
"""Folders of the cluster that all machines use."""


@dataclass(frozen=True)
class Machine:
    """A simulated machine. `number` is the last part of its address."""

    name: str
    number: int

    @property
    def address(self) -> str:
        """IP address of the machine."""
        return f"{NETWORK_PREFIX}{self.number}"


DATA_MACHINES = tuple(Machine(f"data{number}", 10 + number) for number in (1, 2, 3))
"""Machines of PostgreSQL, RabbitMQ and MongoDB."""

ETCD_MACHINES = tuple(Machine(f"etcd{number}", 30 + number) for number in (1, 2, 3))
"""Machines of etcd.

A new leader of etcd extends all leases. On a machine with PostgreSQL, a partition could begin an election in etcd and
thereby extend the lease of the leader of PostgreSQL that it isolates.
"""

APP_MACHINES = tuple(Machine(f"app{number}", 20 + number) for number in (1, 2))
"""Machines of the services, their sidecars, the edges and Memcached."""

OUTSIDE = Machine("outside", 2)
"""Clients and third parties, which are emulated: no machine of the cluster, and never lost."""

MACHINES = (*DATA_MACHINES, *ETCD_MACHINES, *APP_MACHINES)

_MACHINES_BY_PORT: Mapping[str, tuple[Machine, ...]] = {
    **dict.fromkeys(("POSTGRES_PORT", "RABBITMQ_PORT", "DOCUMENTS_PORT"), DATA_MACHINES),
    **dict.fromkeys(("EDGE_PORT", "EDGE_TLS_PORT", "MEMCACHED_PORT"), APP_MACHINES),
}
"""Machines that listen on a port; third parties listen on all others."""


def list_hosts() -> list[tuple[str, str]]:
    """Return address and name of every host. The name of a service and `edge` have an address on each app machine.

    App machines have no names of their own: Envoy's resolver merges the lines of an address, and of a name with several
    addresses it would use the first one only.
    """
    names = [(machine.address, machine.name) for machine in (*DATA_MACHINES, OUTSIDE)]
    return names + [(machine.address, name) for name in (EDGE_HOST, *CALLEES) for machine in APP_MACHINES]


class MachineConfig(MeshConfig):
    """Configuration of the processes on a machine: they listen on its address and connect to those of all machines."""

    def __init__(self, machine: Machine, root: Path, environment: Mapping[str, str] = os.environ) -> None:
        inherited = {name: environment[name] for name in render_bootstrap.load_placeholders() if name in environment}
        super().__init__(
            inherited
            | {
                "DELIVERY_STATE": str(root if machine is OUTSIDE else root / machine.name),
                **dict.fromkeys(("BIND", "ADMIN_BIND"), machine.address),
                **dict.fromkeys(("JWKS_HOST", "OTLP_HOST"), OUTSIDE.address),
                **{f"{name.upper()}_HOST": name for name in CALLEES},
            }
        )
        self.machine = machine
        self._root = root

    @override
    def list_addresses(self, port_name: str) -> list[str]:
        machines = _MACHINES_BY_PORT.get(port_name, (OUTSIDE,))
        return [f"{machine.address}:{self.get_port(port_name)}" for machine in machines]

    @override
    def ensure_subdirectory(self, name: str) -> Path:
        if self.machine is not OUTSIDE and name in SHARED_FOLDERS:
            return MachineConfig(OUTSIDE, self._root).ensure_subdirectory(name)
        return super().ensure_subdirectory(name)

    @property
    @override
    def edge_url(self) -> str:
        """URL of both edges: clients connect to the second one if the first one is unavailable."""
        return f"http://{EDGE_HOST}:{self.get_port('EDGE_PORT')}"


def get_root(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of the cluster."""
    return Path(environment.get("CLUSTER_STATE") or ROOT / ".local" / FOLDER_NAME).absolute()


def create_configs(root: Path) -> dict[Machine, MachineConfig]:
    """Return the configuration of every machine, and create its folder."""
    configs = {machine: MachineConfig(machine, root) for machine in (OUTSIDE, *MACHINES)}
    for config in configs.values():
        config.create_folder()
    return configs
