"""Settings, process specifications and one-off commands of the services and the sandbox."""

import io
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest

from deploy.local.infrastructure import services
from deploy.local.infrastructure.mongodb import SERVICES_WITH_DOCUMENTS
from deploy.local.infrastructure.services import (
    SERVICES_WITH_DEMO_DATA,
    build_base_environment,
    build_service_environment,
    build_telemetry_environment,
)
from deploy.local.mesh_config import ROOT, SERVICES, MeshConfig
from deploy.local.pki.secrets import Secrets
from services.runtime.config.settings import load_settings
from tests.service_settings import SETTINGS


def set_environment(monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, str]) -> None:
    """Replace the environment."""
    for name in os.environ:
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_children_inherit_only_listed_variables(shared_config: MeshConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = {"DATABASE_URL": "postgresql://production", "HOME": "/root", "LANG": "de_DE.UTF-8", "TZ": "Asia/Tokyo"}
    set_environment(monkeypatch, {"PATH": "/bin", "LOG_LEVEL": "debug", **foreign})
    assert build_base_environment(shared_config) == {
        "PATH": "/bin",
        "LOG_LEVEL": "debug",
        "HOME": str(shared_config.folder / "home"),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
        "TZ": "UTC",
    }


def test_own_targets_may_be_called_beside_the_sandbox(
    shared_config: MeshConfig, shared_secrets: Secrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALLOWED_TARGETS", "http://127.0.0.1:9000")
    for service in ("orders", "partners"):
        environment = build_service_environment(shared_config, shared_secrets, service)
        assert environment["ALLOWED_TARGETS"] == f"{shared_config.sandbox_url},http://127.0.0.1:9000"


def test_banks_may_send_customers_to_frontends_of_the_edge(shared_config: MeshConfig, shared_secrets: Secrets) -> None:
    environment = build_service_environment(shared_config, shared_secrets, "orders")
    origins = shared_config.get_setting("ALLOWED_ORIGINS").split(",")
    assert environment["RETURN_URL_ORIGINS"].split(",") == [*origins, shared_config.edge_url]


def test_spans_are_exported_to_the_trace_viewer(shared_config: MeshConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch, {})
    environment = build_telemetry_environment(shared_config)
    assert environment["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://127.0.0.1:4317"
    assert environment["TRACE_PERCENT"] == "100"


def test_telemetry_variables_override_the_defaults(shared_config: MeshConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://jaeger:4317", "OTEL_SDK_DISABLED": "true"})
    environment = build_telemetry_environment(shared_config)
    assert environment["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://jaeger:4317"
    assert environment["OTEL_SDK_DISABLED"] == "true"


@pytest.mark.parametrize("service", SERVICES)
def test_environment_is_valid_for_the_service(
    shared_config: MeshConfig, shared_secrets: Secrets, monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    set_environment(monkeypatch, build_service_environment(shared_config, shared_secrets, service))
    settings: Any = load_settings(SETTINGS[service])
    assert settings.environment == "development"
    assert settings.service_socket == shared_config.socket_dir / f"{service}.sock"


@pytest.mark.parametrize("service", SERVICES)
def test_service_connects_as_its_own_user(shared_config: MeshConfig, shared_secrets: Secrets, service: str) -> None:
    environment = build_service_environment(shared_config, shared_secrets, service)
    urls = {name: urlsplit(environment[name]) for name in ("DATABASE_URL", "BROKER_URL")}
    assert {url.username for url in urls.values()} == {service}
    assert urls["DATABASE_URL"].password == shared_secrets.get_password(f"postgres-{service}")
    assert urls["BROKER_URL"].password == shared_secrets.get_password(f"rabbitmq-{service}")
    assert urls["DATABASE_URL"].path == f"/{service}"


def test_unknown_service_raises_key_error(shared_config: MeshConfig, shared_secrets: Secrets) -> None:
    with pytest.raises(KeyError, match="mail"):
        build_service_environment(shared_config, shared_secrets, "mail")


@pytest.mark.parametrize("service", SERVICES)
def test_service_is_started_with_its_sockets(shared_config: MeshConfig, shared_secrets: Secrets, service: str) -> None:
    specification = services.define_service(shared_config, shared_secrets, service)
    assert specification.command == [sys.executable, "-m", f"services.{service}", "serve"]
    assert list(specification.sockets) == [
        f"{service}.sock",
        f"{service}-metrics.sock",
        "gateway-health.sock" if service == "gateway" else f"{service}-http1.sock",
    ]


@pytest.mark.parametrize(("service", "socket"), [("gateway", "gateway-health.sock"), ("orders", "orders.sock")])
def test_readiness_is_the_health_check_on_the_socket(
    shared_config: MeshConfig,
    shared_secrets: Secrets,
    monkeypatch: pytest.MonkeyPatch,
    service: str,
    socket: str,
) -> None:
    targets: list[str] = []
    monkeypatch.setattr(services, "is_serving", lambda target: not targets.append(target))
    assert services.define_service(shared_config, shared_secrets, service).is_ready()
    assert targets == [f"unix:{shared_config.socket_dir / socket}"]


def test_sandbox_has_the_ports_and_keys_of_the_mesh(shared_config: MeshConfig, shared_secrets: Secrets) -> None:
    specification = services.define_sandbox(shared_config, shared_secrets)
    ports = {name: str(shared_config.get_port(name)) for name in ("SANDBOX_PORT", "SMTP_PORT", "APNS_PORT")}
    assert ports.items() <= specification.environment.items()
    assert set(specification.port_variables) == ports.keys()
    assert specification.environment["SANDBOX_WEBHOOK_SECRET"] == shared_secrets.webhook_secret


def test_services_and_sandbox_share_their_credentials(shared_config: MeshConfig, shared_secrets: Secrets) -> None:
    sandbox = services.define_sandbox(shared_config, shared_secrets).environment
    notifications = build_service_environment(shared_config, shared_secrets, "notifications")
    for name in ("APNS_KEY_ID", "APNS_TEAM_ID", "APNS_TOPIC", "APNS_KEY_FILE"):
        assert sandbox[name] == notifications[name]
    assert sandbox["SANDBOX_WEBHOOK_SECRET"] == notifications["DEMO_WEBHOOK_SECRET"]


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], Mapping[str, str]]]:
    """Record command and environment of each started process; its exit code is 3."""
    recorded: list[tuple[list[str], Mapping[str, str]]] = []

    def run(command: list[str], *, env: Mapping[str, str], **_: object) -> subprocess.CompletedProcess[str]:
        recorded.append((command, env))
        return subprocess.CompletedProcess(command, 3)

    monkeypatch.setattr(subprocess, "run", run)
    return recorded


def test_one_off_commands_return_the_exit_code(
    shared_config: MeshConfig, shared_secrets: Secrets, commands: list[tuple[list[str], Mapping[str, str]]]
) -> None:
    assert services.grant_admin(shared_config, shared_secrets, "ada@delivery.test") == 3
    assert services.run_reconciliation(shared_config, shared_secrets) == 3
    (grant, gateway), (reconcile, orders) = commands
    assert grant[2:] == ["services.gateway", "make-admin", "ada@delivery.test"]
    assert reconcile[2:] == ["services.orders", "reconcile"]
    assert build_service_environment(shared_config, shared_secrets, "gateway").items() <= gateway.items()
    assert build_service_environment(shared_config, shared_secrets, "orders").items() <= orders.items()


class ExitedProcess:
    """Process that has exited, with its output."""

    def __init__(self, returncode: int, output: str) -> None:
        self.returncode = returncode
        self._output = io.StringIO(output)

    def communicate(self) -> tuple[str, None]:
        return self._output.read(), None


def exit_with(monkeypatch: pytest.MonkeyPatch, failed: Iterable[str] = ()) -> list[str]:
    """Replace processes by exited ones, and return the modules that are started."""
    modules: list[str] = []

    def start(command: list[str], **_: object) -> ExitedProcess:
        _, _, module, argument = command
        assert argument == "demo-data"
        modules.append(module)
        return ExitedProcess(int(module in failed), f"{module} output")

    monkeypatch.setattr(subprocess, "Popen", start)
    return modules


def test_services_with_demo_data_or_documents_follow_from_their_files() -> None:
    assert SERVICES_WITH_DEMO_DATA == ("gateway", "orders", "partners")
    assert SERVICES_WITH_DOCUMENTS == ("orders", "notifications")


def test_demo_data_is_loaded_by_every_service_with_some(
    shared_config: MeshConfig, shared_secrets: Secrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = exit_with(monkeypatch)
    services.load_demo_data(shared_config, shared_secrets)
    assert modules == [f"services.{name}" for name in SERVICES_WITH_DEMO_DATA]


def test_failed_demo_data_raises_an_error_with_its_output(
    shared_config: MeshConfig, shared_secrets: Secrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    exit_with(monkeypatch, ["services.partners"])
    with pytest.raises(RuntimeError, match=r"demo data of partners failed:\nservices\.partners output"):
        services.load_demo_data(shared_config, shared_secrets)
