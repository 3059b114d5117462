"""Real servers for integration tests."""

from collections.abc import AsyncIterator, Iterator

import pytest

from services.orders import demo
from services.runtime import migrations
from services.runtime.settings import DemoSettings, ServiceSettings
from tests.conftest import STATE
from tests.integration.orders import Orders
from tests.integration.partners import Partners
from tests.integration.servers import Servers


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Running servers, with nobody else on them."""
    made = Servers(STATE.with_name("events"), 4000)
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
    await demo.load(ServiceSettings(), DemoSettings())  # type: ignore[call-arg]
    made = Orders(settings)
    async with made.database, made.client:
        await made.documents.prepare()
        yield made


@pytest.fixture
async def partners(servers: Servers) -> AsyncIterator[Partners]:
    """The partners service, with no calls that are due."""
    settings = servers.settings("partners")
    migrations.migrate("partners", settings["DATABASE_URL"])
    made = Partners(settings)
    async with made.database:
        await made.sql("DELETE FROM partner_calls")
        await made.sql("DELETE FROM partner_breakers")
        await made.sql("DELETE FROM outbox")
        yield made
