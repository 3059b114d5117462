"""Command line of a service: migrations of its stores, and the limit of open files."""

import resource
import sys
from collections.abc import Callable

import pytest

from services.orders.settings import Settings as OrdersSettings
from services.partners.settings import Settings as PartnersSettings
from services.runtime.config.settings import ServiceSettings
from services.runtime.process import cli
from services.runtime.storage import migrations, mongo_migrations
from services.runtime.telemetry import logging_setup

ENVIRONMENT = {
    "ENVIRONMENT": "development",
    "SERVICE_SOCKET": "/run/delivery/service.sock",
    "DATABASE_URL": "postgresql://orders@database.example/orders",
    "DOCUMENTS_URL": "mongodb://orders@documents.example/orders",
    "PUBLIC_URL": "https://api.delivery.example",
    "BROKER_URL": "amqp://orders:broker-secret-1@broker.example:5672/delivery",
    "ENCRYPTION_KEY": "pYj6C1Vt0nWb3zQeXkHsLr8uMf2Dg9aTqO7wNcEiBxU=",
}


def test_open_file_limit_is_raised_to_hard_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, hard - 1), hard))
    try:
        cli._raise_open_file_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Return the migration calls of the command: name of the function and scheme of the URL."""
    calls: list[tuple[str, str]] = []

    def record(name: str, result: list[str] | None) -> Callable[[str, str], list[str] | None]:
        def function(service: str, url: str) -> list[str] | None:
            calls.append((name, url.partition(":")[0]))
            return result

        return function

    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    for module in (migrations, mongo_migrations):
        monkeypatch.setattr(module, "migrate", record("migrate", None))
        monkeypatch.setattr(module, "list_pending", record("list_pending", []))
    monkeypatch.setattr(logging_setup, "setup_logging", lambda service, level: None)
    return calls


async def serve(settings: ServiceSettings) -> None:
    """Return at once."""


def run(monkeypatch: pytest.MonkeyPatch, command: str, settings_type: type[ServiceSettings] = OrdersSettings) -> None:
    monkeypatch.setattr(sys, "argv", ["services", command])
    cli.main("orders", settings_type, serve)


@pytest.mark.parametrize("command", ["migrate", "serve"])
@pytest.mark.parametrize(
    ("settings_type", "migrated"),
    [(OrdersSettings, ["postgresql", "mongodb"]), (PartnersSettings, ["postgresql"])],
)
def test_migrations_include_documents_of_services_that_have_some(
    calls: list[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    settings_type: type[ServiceSettings],
    migrated: list[str],
) -> None:
    run(monkeypatch, command, settings_type)
    assert calls == [("migrate", scheme) for scheme in migrated]


@pytest.mark.parametrize(
    ("environment", "setting", "expected"),
    [
        ("production", None, "list_pending"),
        ("production", "true", "migrate"),
        ("development", None, "migrate"),
        ("development", "false", "list_pending"),
    ],
)
def test_serve_migrates_by_default_in_development_only(
    calls: list[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    environment: str,
    setting: str | None,
    expected: str,
) -> None:
    monkeypatch.setenv("ENVIRONMENT", environment)
    if setting is not None:
        monkeypatch.setenv("MIGRATE_AT_START", setting)
    run(monkeypatch, "serve")
    assert [name for name, _ in calls] == [expected, expected]


def test_migrate_applies_migrations_in_production(
    calls: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")
    run(monkeypatch, "migrate")
    assert [name for name, _ in calls] == ["migrate", "migrate"]


def test_serve_with_pending_migrations_exits_with_their_names(
    calls: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIGRATE_AT_START", "false")
    monkeypatch.setattr(migrations, "list_pending", lambda service, url: ["0007"])
    monkeypatch.setattr(mongo_migrations, "list_pending", lambda service, url: ["0002_index"])
    with pytest.raises(SystemExit, match="migrations are pending: 0007, 0002_index; run the command migrate first"):
        run(monkeypatch, "serve")


@pytest.mark.usefixtures("calls")
@pytest.mark.parametrize(("setting", "function"), [("true", "migrate"), ("false", "list_pending")])
def test_serve_on_schema_of_another_branch_exits_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, setting: str, function: str
) -> None:
    def fail(service: str, url: str) -> None:
        raise migrations.UnknownSchemaError(f"the database of {service} has the unknown revision b_0001")

    monkeypatch.setenv("MIGRATE_AT_START", setting)
    monkeypatch.setattr(migrations, function, fail)
    with pytest.raises(SystemExit, match=r"^the database of orders has the unknown revision b_0001$"):
        run(monkeypatch, "serve")
