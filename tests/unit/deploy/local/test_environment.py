"""Variables of the caller that the local runner removes, and those of its child processes."""

from deploy.local.environment import build_own_environment, remove_foreign_variables
from deploy.local.mesh_config import MeshConfig

FOREIGN_NAMES = [
    "ERL_AFLAGS",
    "HTTPS_PROXY",
    "LANG",
    "LC_ALL",
    "NODE_OPTIONS",
    "PGPASSFILE",
    "PGSSLMODE",
    "PYTHONHOME",
    "RABBITMQ_NODENAME",
    "TZ",
    "http_proxy",
    "no_proxy",
]
OWN_NAMES = ["DELIVERY_STATE", "HOME", "OTEL_SDK_DISABLED", "PATH", "PORT_OFFSET", "POSTGRES_PORT", "RABBITMQ_PORT"]


def test_foreign_variables_are_removed_and_ports_remain(shared_config: MeshConfig) -> None:
    environment = dict.fromkeys([*FOREIGN_NAMES, *OWN_NAMES], "value")
    remove_foreign_variables(shared_config, environment)
    assert sorted(environment) == OWN_NAMES


def test_home_of_children_is_below_the_state_folder(shared_config: MeshConfig) -> None:
    environment = build_own_environment(shared_config)
    assert environment["HOME"] == str(shared_config.folder / "home")
    assert environment["LC_ALL"] == environment["LANG"] == "C.UTF-8"
