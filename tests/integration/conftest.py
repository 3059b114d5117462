"""Servers and services for integration tests."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from urllib.parse import urlsplit

import pytest
import uvloop

from services.orders.app import load_demo_data
from services.partners.entrypoints.rpc import PartnersRpc
from services.runtime.config.settings import DemoSettings, ServiceSettings
from services.runtime.core.clock import now
from services.runtime.messaging import routing_check, topology
from services.runtime.storage import migrations, mongo_migrations
from tests.conftest import STATE_DIR
from tests.fault_proxy import Fault, FaultProxy
from tests.integration.fixtures.gateway import Gateway
from tests.integration.fixtures.orders import Orders
from tests.integration.fixtures.partners import PartnersFixture
from tests.integration.fixtures.servers import Servers


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run the tests with the event loop of the services."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Running servers without any other client."""
    servers = Servers(STATE_DIR.with_name("events"), 4000)
    result = servers.run("up", "--only", "servers")
    assert result.returncode == 0, result.stdout + result.stderr
    yield servers
    servers.run("down")


@pytest.fixture(autouse=True)
def _short_restore_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the delay after which a missing queue is declared, and the interval of the checks for missing queues."""
    monkeypatch.setattr(topology, "RESTORE_DELAY_S", 0.5)
    monkeypatch.setattr(routing_check, "CHECK_INTERVAL_S", 0.1)


@pytest.fixture
async def orders(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Orders]:
    """The orders service with its demo banks."""
    settings = servers.settings("orders")
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    migrations.migrate("orders", settings["DATABASE_URL"])
    mongo_migrations.migrate("orders", settings["DOCUMENTS_URL"])
    await load_demo_data(ServiceSettings(), DemoSettings())  # type: ignore[call-arg]
    orders = Orders(settings, servers.admin_broker_url)
    async with orders.database, orders.client:
        yield orders


@pytest.fixture
async def partners(servers: Servers) -> AsyncIterator[PartnersFixture]:
    """The partners service without pending calls."""
    settings = servers.settings("partners")
    migrations.migrate("partners", settings["DATABASE_URL"])
    partners = PartnersFixture(settings, servers.admin_broker_url)
    async with partners.database:
        await partners.execute_sql("DELETE FROM partner_calls")
        await partners.execute_sql("DELETE FROM partner_breakers")
        await partners.execute_sql("DELETE FROM outbox")
        yield partners


@pytest.fixture
def partners_rpc(partners: PartnersFixture) -> PartnersRpc:
    """The servicer of partners."""
    return PartnersRpc(partners.repository, partners.secret_box, now)


@pytest.fixture(scope="module")
def account_proxies(servers: Servers) -> Iterator[tuple[FaultProxy, FaultProxy]]:
    """Proxies of the identity provider and of the object storage."""
    settings = servers.settings("gateway")
    targets = [urlsplit(settings[name]) for name in ("IDENTITY_URL", "STORAGE_URL")]
    identity, storage = [FaultProxy(str(target.hostname), int(target.port or 0)) for target in targets]
    with identity, storage, pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIREBASE_AUTH_EMULATOR_HOST", f"127.0.0.1:{identity.port}")
        yield identity, storage


@pytest.fixture
async def gateway(servers: Servers, account_proxies: tuple[FaultProxy, FaultProxy]) -> AsyncIterator[Gateway]:
    """Accounts of the gateway."""
    settings = servers.settings("gateway")
    await asyncio.to_thread(migrations.migrate, "gateway", settings["DATABASE_URL"])
    gateway = Gateway(settings, *account_proxies)
    async with gateway.database, gateway.client:
        yield gateway
        for proxy in account_proxies:
            proxy.set_fault(Fault.NONE)
        for adapter in (gateway.identity, gateway.image_store, gateway.rate_limiter):
            adapter.close()


@pytest.fixture
def email() -> str:
    """Address of no account."""
    return f"ada-{secrets.token_hex(6)}@delivery.test"
