"""Process specifications, settings and one-off commands of the services, and of the sandbox."""

import os
import subprocess
import sys
from collections.abc import Mapping

from deploy.local.environment import build_own_environment
from deploy.local.infrastructure.local_http import is_successful
from deploy.local.infrastructure.memcached import build_memcached_server
from deploy.local.infrastructure.mongodb import build_documents_url
from deploy.local.infrastructure.servers import BUCKET, build_broker_url
from deploy.local.mesh_config import ROOT, SERVICES, MeshConfig
from deploy.local.pki.secrets import Secrets
from deploy.local.supervisor.process import ProcessSpec
from services.runtime.rpc.health_check import is_serving
from services.runtime.sidecar.unix_sockets import get_unary_socket_path

SERVICES_WITH_DEMO_DATA = tuple(
    name for name in SERVICES if (ROOT / "services" / name / "entrypoints/commands/demo_data.py").is_file()
)
"""Services with a command that loads demo data."""

INHERITED_VARIABLES = (
    "PATH",
    "LOG_LEVEL",
    "FAILED_ATTEMPTS_PER_ADDRESS",
    "FAILED_ATTEMPTS_PER_ACCOUNT",
    "MAX_EVENT_STREAMS_PER_USER",
)
"""Environment variables that child processes inherit."""

APNS_SETTINGS = {"APNS_KEY_ID": "LOCALKEY01", "APNS_TEAM_ID": "LOCALTEAM1", "APNS_TOPIC": "test.delivery.app"}
"""APNs credentials that the sandbox accepts."""


def build_base_environment(config: MeshConfig) -> dict[str, str]:
    """Return the environment variables of every child process."""
    inherited = {name: os.environ[name] for name in INHERITED_VARIABLES if name in os.environ}
    return inherited | build_own_environment(config)


def build_telemetry_environment(config: MeshConfig) -> Mapping[str, str]:
    """Return the tracing settings: export to the trace viewer, unless OTEL_* variables override it."""
    overrides = {name: value for name, value in os.environ.items() if name.startswith("OTEL_")}
    endpoint = f"http://{config.get_setting('OTLP_HOST')}:{config.get_port('OTLP_PORT')}"
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": "1000",
        "TRACE_PERCENT": config.get_setting("TRACE_PERCENT"),
    } | overrides


def list_allowed_targets(config: MeshConfig) -> str:
    """Return the private origins that services may call: the sandbox, and those of the variable ALLOWED_TARGETS."""
    return ",".join(filter(None, (config.sandbox_url, os.environ.get("ALLOWED_TARGETS"))))


def build_service_environment(config: MeshConfig, secrets: Secrets, service: str) -> Mapping[str, str]:
    """Return the settings of a service in the local mesh."""
    password = secrets.get_password(f"postgres-{service}")
    postgres = f"{service}:{password}@{','.join(config.list_addresses('POSTGRES_PORT'))}"
    common = {
        "ENVIRONMENT": "development",
        "SERVICE_SOCKET": str(config.socket_dir / f"{service}.sock"),
        "DATABASE_URL": f"postgresql://{postgres}/{service}",
        "BROKER_URL": build_broker_url(config, secrets, service),
        "ENCRYPTION_KEY": secrets.encryption_key,
        "PUBLIC_URL": config.edge_url,
        "SANDBOX_URL": config.sandbox_url,
        "DEMO_WEBHOOK_SECRET": secrets.webhook_secret,
        "DRAIN_SECONDS": "5",
    }
    common |= build_telemetry_environment(config)
    cache = build_memcached_server(config, secrets)
    specific: dict[str, dict[str, str]] = {name: {} for name in SERVICES} | {
        "gateway": {
            "EGRESS_SOCKET": str(config.socket_dir / "gateway-egress.sock"),
            "HEALTH_SOCKET": str(config.socket_dir / "gateway-health.sock"),
            "VALIDATE_RESPONSES": os.environ.get("VALIDATE_RESPONSES", "true"),
            "TRUSTED_HOPS": config.get_setting("TRUSTED_HOPS"),
            "CACHE_ADDRESS": cache.address,
            "CACHE_USERNAME": cache.username,
            "CACHE_PASSWORD": cache.password,
            "FIREBASE_PROJECT_ID": config.get_setting("FIREBASE_PROJECT_ID"),
            "FIREBASE_API_KEY": "local",
            "FIREBASE_AUTH_EMULATOR_HOST": config.sandbox_url.removeprefix("http://"),
            "GOOGLE_APPLICATION_CREDENTIALS": str(secrets.service_account),
            "IDENTITY_URL": config.sandbox_url,
            "DEVICE_EMULATOR_URL": f"{config.sandbox_url}/devices",
            "TRACE_VIEWER_URL": f"{config.traces_url}/search?q=",
            "STORAGE_BUCKET": BUCKET,
            "STORAGE_URL": f"http://{config.list_addresses('STORAGE_PORT')[0]}",
        },
        "orders": {
            "DOCUMENTS_URL": build_documents_url(config, secrets, "orders"),
            "ALLOWED_TARGETS": list_allowed_targets(config),
            "RETURN_URL_ORIGINS": f"{config.get_setting('ALLOWED_ORIGINS')},{config.edge_url}",
        },
        "partners": {"ALLOWED_TARGETS": list_allowed_targets(config)},
        "notifications": {
            "DOCUMENTS_URL": build_documents_url(config, secrets, "notifications"),
            "GOOGLE_APPLICATION_CREDENTIALS": str(secrets.service_account),
            "FCM_URL": config.sandbox_url,
            "APNS_URL": f"http://{config.list_addresses('APNS_PORT')[0]}",
            "APNS_KEY_FILE": str(secrets.apns_key),
            **APNS_SETTINGS,
            "OPERATORS_EMAIL": "operators@delivery.test",
            "SMTP_URL": f"smtp://{config.list_addresses('SMTP_PORT')[0]}",
        },
    }
    return common | specific[service]


def define_service(config: MeshConfig, secrets: Secrets, name: str) -> ProcessSpec:
    """Define a service process, whose readiness is its gRPC health check."""
    socket = config.socket_dir / ("gateway-health.sock" if name == "gateway" else f"{name}.sock")
    second_socket = "gateway-health.sock" if name == "gateway" else get_unary_socket_path(socket).name

    return ProcessSpec(
        name=name,
        command=[sys.executable, "-m", f"services.{name}", "serve"],
        environment=build_service_environment(config, secrets, name),
        is_ready=lambda: is_serving(f"unix:{socket}"),
        sockets=[f"{name}.sock", f"{name}-metrics.sock", second_socket],
    )


def define_sandbox(config: MeshConfig, secrets: Secrets) -> ProcessSpec:
    """Define the sandbox."""

    def is_ready() -> bool:
        return is_successful(f"{config.sandbox_url}/healthz")

    return ProcessSpec(
        name="sandbox",
        command=[sys.executable, "-m", "services.sandbox", "serve"],
        environment={
            "BIND": config.bind_address,
            "SANDBOX_PORT": str(config.get_port("SANDBOX_PORT")),
            "SMTP_PORT": str(config.get_port("SMTP_PORT")),
            "APNS_PORT": str(config.get_port("APNS_PORT")),
            "APNS_KEY_FILE": str(secrets.apns_key),
            **APNS_SETTINGS,
            "PUBLIC_URL": config.edge_url,
            "FIREBASE_PROJECT_ID": config.get_setting("FIREBASE_PROJECT_ID"),
            "SANDBOX_SIGNING_KEY_FILE": str(secrets.signing_key),
            "SANDBOX_STATE_DIR": str(config.ensure_subdirectory("sandbox")),
            "SANDBOX_WEBHOOK_SECRET": secrets.webhook_secret,
        },
        is_ready=is_ready,
        port_variables=["SANDBOX_PORT", "SMTP_PORT", "APNS_PORT"],
    )


def grant_admin(config: MeshConfig, secrets: Secrets, email: str) -> int:
    """Run the gateway's command that grants the admin role. Return its exit code."""
    environment = build_base_environment(config) | dict(build_service_environment(config, secrets, "gateway"))
    return subprocess.run(
        [sys.executable, "-m", "services.gateway", "make-admin", email], cwd=ROOT, env=environment, check=False
    ).returncode


def run_reconciliation(config: MeshConfig, secrets: Secrets) -> int:
    """Run the reconciliation command of the orders service. Return its exit code."""
    environment = build_base_environment(config) | dict(build_service_environment(config, secrets, "orders"))
    return subprocess.run(
        [sys.executable, "-m", "services.orders", "reconcile"], cwd=ROOT, env=environment, check=False
    ).returncode


def load_demo_data(config: MeshConfig, secrets: Secrets) -> None:
    """Load the demo data of all services concurrently. Raises RuntimeError with the output of a failed command."""
    processes = {
        name: subprocess.Popen(
            [sys.executable, "-m", f"services.{name}", "demo-data"],
            cwd=ROOT,
            env=build_base_environment(config) | dict(build_service_environment(config, secrets, name)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )
        for name in SERVICES_WITH_DEMO_DATA
    }
    for name, process in processes.items():
        output, _ = process.communicate()
        if process.returncode:
            raise RuntimeError(f"loading the demo data of {name} failed:\n{output}")
