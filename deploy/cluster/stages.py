"""Start-up stages of the cluster."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from deploy.cluster import mongodb, postgres, rabbitmq
from deploy.cluster.machines import APP_MACHINES, DATA_MACHINES, ETCD_MACHINES, OUTSIDE, Machine, MachineConfig
from deploy.cluster.network import Network
from deploy.local.infrastructure import envoys, memcached, servers, services
from deploy.local.infrastructure.trace_viewer import define_trace_viewer
from deploy.local.mesh_config import OPERATOR_SIDECAR, SERVICES
from deploy.local.pki.certificates import CertificateAuthority
from deploy.local.pki.secrets import Secrets
from deploy.local.supervisor.process import ProcessSpec

type BuildEnvironment = Callable[[Machine, ProcessSpec], Mapping[str, str]]
"""Function that returns additional environment variables of a process on a machine."""


def define_stages(
    network: Network,
    configs: dict[Machine, MachineConfig],
    secrets: Secrets,
    build_environment: BuildEnvironment | None = None,
) -> Sequence[Sequence[ProcessSpec]]:
    """Return the stages: etcd and RabbitMQ; the other stores and third parties; the services and sidecars.

    The nodes of RabbitMQ start together, since a node that did not stop last waits for the others.
    """
    data, apps = [configs[machine] for machine in DATA_MACHINES], [configs[machine] for machine in APP_MACHINES]
    outside = configs[OUTSIDE]
    CertificateAuthority(outside.ensure_subdirectory("pki")).ensure_certificates()
    first = [
        *((configs[machine], postgres.define_etcd(configs[machine])) for machine in ETCD_MACHINES),
        *((config, rabbitmq.define_node(config, secrets)) for config in data),
    ]
    stores = [
        *((config, postgres.define_patroni(config, secrets)) for config in data),
        *((config, mongodb.define_member(configs, config, secrets)) for config in data),
        *((config, memcached.define_memcached(config, secrets)) for config in apps),
    ]
    third_parties = [
        servers.define_object_storage(outside),
        services.define_sandbox(outside, secrets),
        define_trace_viewer(outside),
    ]
    app_processes = [each for config in apps for each in _define_apps(config, secrets)]

    def place(processes: Sequence[tuple[MachineConfig, ProcessSpec]]) -> list[ProcessSpec]:
        return [
            place_process(
                network, config, process, build_environment(config.machine, process) if build_environment else {}
            )
            for config, process in processes
        ]

    return [place(first), [*place(stores), *third_parties], place(app_processes)]


def _define_apps(config: MachineConfig, secrets: Secrets) -> Iterator[tuple[MachineConfig, ProcessSpec]]:
    for name in SERVICES:
        yield config, services.define_service(config, secrets, name)
        yield config, envoys.define_sidecar(config, name)
    if config.machine is APP_MACHINES[0]:
        yield config, envoys.define_sidecar(config, OPERATOR_SIDECAR)


def place_process(
    network: Network, config: MachineConfig, process: ProcessSpec, environment: Mapping[str, str] | None = None
) -> ProcessSpec:
    """Return the process on its machine: in its namespace and folder, with the machine in its name.

    `environment` is added to its environment variables, but not to those of `nsenter`, which enters as root: a library
    of LD_PRELOAD is loaded by the user of the process only.
    """
    assignments = [f"{name}={value}" for name, value in (environment or {}).items()]
    command = ["env", *assignments, *process.command] if assignments else process.command

    def wrap(command: Sequence[str], user: int | None = None) -> list[str]:
        return network.build_machine_command(config.machine, command, config.folder, user)

    return replace(
        process,
        name=f"{config.machine.name}-{process.name}",
        command=wrap(command, process.user),
        user=None,
        sockets=[str(config.socket_dir / name) for name in process.sockets],
        cleanup_command=wrap(process.cleanup_command) if process.cleanup_command else (),
    )
