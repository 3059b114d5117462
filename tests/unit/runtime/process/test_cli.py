"""Command line of a service: migrations of its stores, and the limit of open files."""

import resource
import subprocess
import sys

import pytest

from services.orders.settings import Settings as OrdersSettings
from services.partners.settings import Settings as PartnersSettings
from services.runtime.config.settings import ServiceSettings
from services.runtime.process import cli
from tests.conftest import ROOT

ENVIRONMENT = {
    "ENVIRONMENT": "development",
    "SERVICE_SOCKET": "/run/delivery/service.sock",
    "DATABASE_URL": "postgresql://orders@database.example/orders",
    "BROKER_URL": "amqp://orders@broker.example/delivery",
    "ENCRYPTION_KEY": "pYj6C1Vt0nWb3zQeXkHsLr8uMf2Dg9aTqO7wNcEiBxU=",
}

SCRIPT = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (256, {hard}))
from services.runtime.process.cli import _raise_open_file_limit
_raise_open_file_limit()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def test_open_file_limit_is_raised_to_hard_limit() -> None:
    hard = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 4096)
    command = [sys.executable, "-c", SCRIPT.format(hard=hard)]
    result = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert result.stdout.split() == [str(hard), str(hard)]


@pytest.mark.parametrize(
    ("service", "settings_type", "migrated"),
    [("orders", OrdersSettings, ["postgresql", "mongodb"]), ("partners", PartnersSettings, ["postgresql"])],
)
def test_migrate_includes_documents_of_services_that_have_some(
    monkeypatch: pytest.MonkeyPatch, service: str, settings_type: type[ServiceSettings], migrated: list[str]
) -> None:
    urls: list[tuple[str, str]] = []
    for name, value in (ENVIRONMENT | {"DOCUMENTS_URL": "mongodb://orders@documents.example/orders"}).items():
        monkeypatch.setenv(name, value)
    for module in (cli.migrations, cli.mongo_migrations):
        monkeypatch.setattr(module, "migrate", lambda service, url: urls.append((service, url)))
    monkeypatch.setattr(cli.logging_setup, "setup_logging", lambda service, level: None)
    monkeypatch.setattr(sys, "argv", ["services", "migrate"])

    async def serve(settings: ServiceSettings) -> None:
        raise AssertionError("migrate must not serve")

    cli.main(service, settings_type, serve)
    assert [(service, url.partition(":")[0]) for service, url in urls] == [(service, scheme) for scheme in migrated]
