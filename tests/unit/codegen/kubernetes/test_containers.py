"""Containers of a service's pods."""

import pytest

from codegen.envoy.common import Config
from codegen.kubernetes import containers

PORTS = {"ingress": 15002, "probe": 15022}
CONTAINERS = {
    "app": containers.build_app_container("orders", 15022),
    "envoy": containers.build_envoy_container("orders", PORTS),
    "bootstrap": containers.build_bootstrap_container("orders"),
    "migration": containers.build_migration_container("orders"),
}

for_each_container = pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS.keys())


@for_each_container
def test_container_has_no_privileges_and_a_read_only_root(container: Config) -> None:
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@for_each_container
def test_container_requests_resources_and_limits_memory(container: Config) -> None:
    assert container["resources"]["requests"].keys() == {"cpu", "memory"}
    assert container["resources"]["limits"].keys() == {"memory"}


@pytest.mark.parametrize(
    ("service", "sockets"),
    [
        ("orders", {"SERVICE_SOCKET": "/run/${MESH}/orders.sock"}),
        (
            "gateway",
            {
                "SERVICE_SOCKET": "/run/${MESH}/gateway.sock",
                "HEALTH_SOCKET": "/run/${MESH}/gateway-health.sock",
                "EGRESS_SOCKET": "/run/${MESH}/gateway-egress.sock",
            },
        ),
    ],
)
def test_sockets_are_in_the_shared_volume(service: str, sockets: dict[str, str]) -> None:
    assert {each["name"]: each["value"] for each in containers.build_socket_environment(service)} == sockets
    for container in (
        containers.build_app_container(service, 1),
        containers.build_envoy_container(service, {"probe": 1}),
    ):
        assert containers.RUN_VOLUME_MOUNT in container["volumeMounts"]


def test_settings_come_from_config_map_and_secret_of_the_service() -> None:
    for name in ("app", "migration"):
        assert CONTAINERS[name]["envFrom"] == [{"configMapRef": {"name": "orders"}}, {"secretRef": {"name": "orders"}}]


def test_app_and_migration_run_the_service_image() -> None:
    assert CONTAINERS["app"]["args"] == ["services.orders", "serve"]
    assert CONTAINERS["migration"]["args"] == ["services.orders", "migrate"]
    assert CONTAINERS["app"]["image"] == CONTAINERS["migration"]["image"] == CONTAINERS["bootstrap"]["image"]


def test_probes_of_the_app_use_the_probe_port_of_the_sidecar() -> None:
    probes = {name: each for name, each in CONTAINERS["app"].items() if name.endswith("Probe")}
    assert probes.keys() == {"startupProbe", "readinessProbe", "livenessProbe"}
    assert {probe["grpc"]["port"] for probe in probes.values()} == {PORTS["probe"]}


def test_start_up_has_more_time_than_liveness_permits() -> None:
    probes = containers.build_probes(1)
    limits = {name: probe["periodSeconds"] * probe["failureThreshold"] for name, probe in probes.items()}
    assert limits["startupProbe"] > limits["livenessProbe"] > limits["readinessProbe"]


def test_sidecar_probes_do_not_depend_on_the_app() -> None:
    envoy = CONTAINERS["envoy"]
    assert envoy["livenessProbe"]["tcpSocket"] == envoy["readinessProbe"]["tcpSocket"] == {"port": PORTS["probe"]}


def test_sidecar_exposes_all_its_ports_by_name() -> None:
    assert CONTAINERS["envoy"]["ports"] == [
        {"name": "ingress", "containerPort": 15002},
        {"name": "probe", "containerPort": 15022},
    ]


@pytest.mark.parametrize(("service", "has_edge"), [("gateway", True), ("orders", False)])
def test_only_the_gateway_has_the_edge_certificate(service: str, has_edge: bool) -> None:
    names = [each["name"] for each in containers.build_envoy_container(service, {"probe": 1})["volumeMounts"]]
    assert names == ["run", "pki", *(["edge"] if has_edge else [])]


def test_sidecar_outlives_the_draining_app() -> None:
    assert CONTAINERS["app"]["lifecycle"]["preStop"]["exec"]["command"] == ["python", "-m", "deploy.drain", "orders"]
    command, seconds = CONTAINERS["envoy"]["lifecycle"]["preStop"]["exec"]["command"]
    assert (command, int(seconds)) == ("sleep", containers.SIDECAR_STOP_DELAY_S)
    assert containers.SIDECAR_STOP_DELAY_S > 2 * containers.DRAIN_S


def test_rendered_bootstrap_is_the_configuration_of_the_sidecar() -> None:
    *_, service, path = CONTAINERS["bootstrap"]["args"]
    assert service == "orders"
    assert path == CONTAINERS["envoy"]["command"][-1]
    assert CONTAINERS["bootstrap"]["envFrom"] == [{"configMapRef": {"name": "sidecars"}}]


@pytest.mark.parametrize("service", ["gateway", "orders"])
def test_secrets_and_certificates_are_mounted_read_only(service: str) -> None:
    mounts = [
        *containers.build_app_container(service, 1)["volumeMounts"],
        *containers.build_envoy_container(service, {"probe": 1})["volumeMounts"],
    ]
    assert {each["name"] for each in mounts if not each.get("readOnly")} == {"run", "tmp"}
