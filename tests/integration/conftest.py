"""Real servers for integration tests."""

from collections.abc import AsyncIterator, Iterator

import pytest

from services.orders.entrypoints.commands import demo_data
from services.runtime.config.settings import DemoSettings, ServiceSettings
from services.runtime.storage import migrations
from tests.conftest import STATE_DIR
from tests.integration.fixtures.orders import Orders
from tests.integration.fixtures.partners import PartnersFixture
from tests.integration.fixtures.servers import Servers


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Running servers, with nobody else on them."""
    made = Servers(STATE_DIR.with_name("events"), 4000)
    done = made.run("up", "--only", "servers")
    assert done.returncode == 0, done.stdout + done.stderr
    yield made
    made.run("down")


@pytest.fixture
async def orders(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Orders]:
    """The orders service with its demo banks."""
    settings = servers.settings("orders")
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    migrations.migrate("orders", settings["DATABASE_URL"])
    await demo_data.load(ServiceSettings(), DemoSettings())  # type: ignore[call-arg]
    made = Orders(settings)
    async with made.database, made.client:
        await made.history.create_indexes()
        yield made


@pytest.fixture
async def partners(servers: Servers) -> AsyncIterator[PartnersFixture]:
    """The partners service, with no calls that are due."""
    settings = servers.settings("partners")
    migrations.migrate("partners", settings["DATABASE_URL"])
    made = PartnersFixture(settings)
    async with made.database:
        await made.execute_sql("DELETE FROM partner_calls")
        await made.execute_sql("DELETE FROM partner_breakers")
        await made.execute_sql("DELETE FROM outbox")
        yield made
