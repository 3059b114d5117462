"""Addresses of the machines, and the configuration of the processes on them."""

from pathlib import Path

from deploy.cluster.machines import (
    APP_MACHINES,
    DATA_MACHINES,
    ETCD_MACHINES,
    MACHINES,
    OUTSIDE,
    Machine,
    MachineConfig,
    get_root,
    list_hosts,
)
from deploy.local.infrastructure.services import build_service_environment
from deploy.local.mesh_config import CALLEES
from deploy.local.pki.secrets import Secrets
from services.gateway.settings import Settings as GatewaySettings
from services.orders.settings import Settings as OrdersSettings
from services.runtime.config.urls import list_broker_urls


def test_machines_have_different_addresses_and_no_engine_has_one_only() -> None:
    assert len({machine.address for machine in (*MACHINES, OUTSIDE)}) == len(MACHINES) + 1
    assert len(DATA_MACHINES) == len(ETCD_MACHINES) == 3
    assert len(APP_MACHINES) == 2


def test_services_and_edge_have_an_address_on_each_app_machine() -> None:
    hosts = list_hosts()
    for name in ("edge", *CALLEES):
        assert [address for address, host in hosts if host == name] == [machine.address for machine in APP_MACHINES]


def test_processes_listen_on_the_address_of_their_machine(configs: dict[Machine, MachineConfig]) -> None:
    for machine in MACHINES:
        config = configs[machine]
        assert config.bind_address == config.get_setting("ADMIN_BIND") == machine.address
        assert config.sandbox_url == f"http://{OUTSIDE.address}:8090"
        assert config.edge_url == "http://edge:8080"


def test_folders_are_those_of_the_machine_except_shared_ones(
    configs: dict[Machine, MachineConfig], tmp_path: Path
) -> None:
    config = configs[DATA_MACHINES[0]]
    assert config.ensure_subdirectory("etcd") == tmp_path / "data1/etcd"
    assert (
        config.ensure_subdirectory("secrets") == configs[OUTSIDE].ensure_subdirectory("secrets") == tmp_path / "secrets"
    )


def test_service_settings_name_all_servers(configs: dict[Machine, MachineConfig], secrets: Secrets) -> None:
    config = configs[APP_MACHINES[1]]
    orders = OrdersSettings.model_validate(
        {name.lower(): value for name, value in build_service_environment(config, secrets, "orders").items()}
    )
    gateway = GatewaySettings.model_validate(
        {name.lower(): value for name, value in build_service_environment(config, secrets, "gateway").items()}
    )
    assert orders.database_url.get_secret_value().endswith("@10.77.0.11:25432,10.77.0.12:25432,10.77.0.13:25432/orders")
    assert len(list_broker_urls(orders.broker_url.get_secret_value())) == 3
    assert orders.documents_url.get_secret_value().endswith("/orders?replicaSet=documents")
    assert gateway.cache_address == "10.77.0.21:21211,10.77.0.22:21211"


def test_folder_of_the_cluster_can_be_changed(tmp_path: Path) -> None:
    assert get_root({"CLUSTER_STATE": str(tmp_path)}) == tmp_path
    assert get_root({}).parts[-2:] == (".local", "cluster")
