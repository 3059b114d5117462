"""Start-up stages of the mesh."""

from collections import Counter

from deploy.local.mesh_config import SERVICES, MeshConfig
from deploy.local.pki.secrets import Secrets
from deploy.local.supervisor.stages import define_stages

SERVERS = ["rabbitmq", "postgres", "memcached", "documents", "storage", "sandbox"]


def stage_names(config: MeshConfig, secrets: Secrets, scope: str) -> list[list[str]]:
    return [[process.name for process in stage] for stage in define_stages(config, secrets, scope)]


def test_scope_servers_has_neither_services_nor_sidecars(shared_config: MeshConfig, shared_secrets: Secrets) -> None:
    assert stage_names(shared_config, shared_secrets, "servers") == [SERVERS]


def test_services_and_sidecars_start_after_the_servers(shared_config: MeshConfig, shared_secrets: Secrets) -> None:
    first, second = stage_names(shared_config, shared_secrets, "all")
    assert first == [*SERVERS, "traces"]
    assert second == [*SERVICES, *(f"{name}-envoy" for name in (*SERVICES, "ops"))]


def test_existing_mongodb_is_not_started(shared_config: MeshConfig, shared_secrets: Secrets) -> None:
    environment = {"DELIVERY_STATE": str(shared_config.folder), "MONGODB_URL": "mongodb://documents.example/{service}"}
    (servers,) = stage_names(MeshConfig(environment), shared_secrets, "servers")
    assert servers == [name for name in SERVERS if name != "documents"]


def test_processes_share_neither_ports_nor_sockets(shared_config: MeshConfig, shared_secrets: Secrets) -> None:
    processes = [process for stage in define_stages(shared_config, shared_secrets, "all") for process in stage]
    ports = Counter(shared_config.get_port(name) for process in processes for name in process.port_variables)
    sockets = Counter(name for process in processes for name in process.sockets)
    assert set(ports.values()) == set(sockets.values()) == {1}
