"""The four services and the outside world, as children that listen on unix sockets; and what each is told."""

import os
import subprocess
import sys
from collections.abc import Mapping

import httpx

from deploy.local.process import Process
from deploy.local.secrets import Secrets
from deploy.local.servers import BUCKET, broker_url
from deploy.local.state import ROOT, State
from services.runtime.probe import serves

DEMO = ("orders", "partners", "gateway")
"""Services that have demo data."""


INHERITED = ("PATH", "HOME", "LANG", "TZ", "LOG_LEVEL", "GUESSES_PER_ADDRESS", "GUESSES_PER_ACCOUNT")
"""Variables that reach children as they are."""

APNS = {"APNS_KEY_ID": "LOCALKEY01", "APNS_TEAM_ID": "LOCALTEAM1", "APNS_TOPIC": "test.delivery.app"}
"""What we are to Apple, which is the sandbox."""


def common() -> dict[str, str]:
    """What every child of ours inherits; nothing else of the caller's environment reaches it."""
    kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return kept | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def telemetry(state: State) -> Mapping[str, str]:
    """Where spans go: to the trace page, unless OpenTelemetry's own variables say otherwise."""
    own = {name: value for name, value in os.environ.items() if name.startswith("OTEL_")}
    endpoint = f"http://{state.setting('OTLP_HOST')}:{state.port('OTLP_PORT')}"
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": "500",
        "TRACE_PERCENT": state.setting("TRACE_PERCENT"),
    } | own


def environment(state: State, secrets: Secrets, service: str) -> Mapping[str, str]:
    """The settings of one service on this machine."""
    postgres = f"{service}:{secrets.password(f'postgres-{service}')}@{state.bind}:{state.port('POSTGRES_PORT')}"
    told = {
        "ENVIRONMENT": "development",
        "SERVICE_SOCKET": str(state.run / f"{service}.sock"),
        "DATABASE_URL": f"postgresql://{postgres}/{service}",
        "BROKER_URL": broker_url(state, secrets, service),
        "ENCRYPTION_KEY": secrets.encryption_key,
        "PUBLIC_URL": state.edge,
        "SANDBOX_URL": state.sandbox,
        "DEMO_WEBHOOK_SECRET": secrets.webhook_secret,
        "DRAIN_SECONDS": "5",
        "GRPC_VERBOSITY": "ERROR",
    }
    told |= telemetry(state)
    documents = f"mongodb://{state.bind}:{state.port('DOCUMENTS_PORT')}/{service}?directConnection=true"
    own: dict[str, dict[str, str]] = {
        "gateway": {
            "EGRESS_SOCKET": str(state.run / "gateway-egress.sock"),
            "HEALTH_SOCKET": str(state.run / "gateway-health.sock"),
            "CHECK_ANSWERS": os.environ.get("CHECK_ANSWERS", "true"),
            "CACHE_ADDRESS": f"{state.bind}:{state.port('MEMCACHED_PORT')}",
            "FIREBASE_PROJECT_ID": state.setting("FIREBASE_PROJECT_ID"),
            "FIREBASE_API_KEY": "local",
            "FIREBASE_AUTH_EMULATOR_HOST": state.sandbox.removeprefix("http://"),
            "GOOGLE_APPLICATION_CREDENTIALS": str(secrets.service_account),
            "IDENTITY_URL": state.sandbox,
            "STORAGE_BUCKET": BUCKET,
            "STORAGE_URL": f"http://{state.bind}:{state.port('STORAGE_PORT')}",
        },
        "orders": {"DOCUMENTS_URL": documents, "ALLOWED_TARGETS": state.sandbox},
        "partners": {"ALLOWED_TARGETS": state.sandbox},
        "notifications": {
            "DOCUMENTS_URL": documents,
            "GOOGLE_APPLICATION_CREDENTIALS": str(secrets.service_account),
            "FCM_URL": state.sandbox,
            "APNS_URL": f"http://{state.bind}:{state.port('APNS_PORT')}",
            "APNS_KEY_FILE": str(secrets.apns_key),
            **APNS,
            "OPERATORS_EMAIL": "operators@delivery.test",
            "SMTP_URL": f"smtp://{state.bind}:{state.port('SMTP_PORT')}",
        },
    }
    return told | own[service]


def service(state: State, secrets: Secrets, name: str) -> Process:
    """One service, ready when its health says so."""
    socket = state.run / ("gateway-health.sock" if name == "gateway" else f"{name}.sock")

    return Process(
        name=name,
        command=[sys.executable, "-m", f"services.{name}", "serve"],
        environment=environment(state, secrets, name),
        ready=lambda: serves(f"unix:{socket}"),
        sockets=[f"{name}.sock", f"{name}-metrics.sock", *(["gateway-health.sock"] if name == "gateway" else [])],
    )


def sandbox(state: State, secrets: Secrets) -> Process:
    """The outside world."""

    def ready() -> bool:
        return httpx.get(f"{state.sandbox}/healthz", trust_env=False, timeout=1).is_success

    return Process(
        name="sandbox",
        command=[sys.executable, "-m", "services.sandbox", "serve"],
        environment={
            "BIND": state.bind,
            "SANDBOX_PORT": str(state.port("SANDBOX_PORT")),
            "SMTP_PORT": str(state.port("SMTP_PORT")),
            "APNS_PORT": str(state.port("APNS_PORT")),
            "APNS_KEY_FILE": str(secrets.apns_key),
            **APNS,
            "PUBLIC_URL": state.edge,
            "FIREBASE_PROJECT_ID": state.setting("FIREBASE_PROJECT_ID"),
            "SANDBOX_SIGNING_KEY": str(secrets.signing_key),
            "SANDBOX_STATE": str(state.sub("sandbox")),
            "SANDBOX_WEBHOOK_SECRET": secrets.webhook_secret,
        },
        ready=ready,
        ports=["SANDBOX_PORT", "SMTP_PORT", "APNS_PORT"],
    )


def make_admin(state: State, secrets: Secrets, email: str) -> int:
    """Runs the gateway's own command; its exit code."""
    told = common() | dict(environment(state, secrets, "gateway"))
    return subprocess.run(
        [sys.executable, "-m", "services.gateway", "admin", email], cwd=ROOT, env=told, check=False
    ).returncode


def reconcile(state: State, secrets: Secrets) -> int:
    """Runs the orders' own command; its exit code."""
    told = common() | dict(environment(state, secrets, "orders"))
    return subprocess.run(
        [sys.executable, "-m", "services.orders", "reconcile"], cwd=ROOT, env=told, check=False
    ).returncode


def load_demo_data(state: State, secrets: Secrets) -> None:
    """Runs each service's own command, side by side. Raises CalledProcessError with what it said."""
    running = {
        name: subprocess.Popen(
            [sys.executable, "-m", f"services.{name}", "demo-data"],
            cwd=ROOT,
            env=common() | dict(environment(state, secrets, name)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for name in DEMO
    }
    for name, process in running.items():
        said, _ = process.communicate()
        if process.returncode:
            raise RuntimeError(f"the demo data of {name} could not be loaded:\n{said}")
