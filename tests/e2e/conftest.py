"""Users of the demo, signed in once."""

from collections.abc import Callable, Iterator

import httpx
import pytest
from rich.console import Console

from deploy.local.demo import scenarios
from deploy.local.demo.scenarios import DEMO_PASSWORD, ScenarioContext
from tests import store_dump
from tests.conftest import Mesh


@pytest.fixture(scope="session")
def token(edge: httpx.Client) -> Callable[[str], str]:
    """The access token of a demo account: "customer", "deliverer", "admin"."""
    tokens: dict[str, str] = {}

    def of(name: str) -> str:
        if name not in tokens:
            body = {"email": f"{name}@delivery.test", "password": DEMO_PASSWORD}
            tokens[name] = edge.post("/sessions", json=body).raise_for_status().json()["access_token"]
        return tokens[name]

    return of


@pytest.fixture(scope="session")
def bearer(token: Callable[[str], str]) -> Callable[[str], dict[str, str]]:
    """The header that makes a request a demo account's."""
    return lambda name: {"authorization": f"Bearer {token(name)}"}


@pytest.fixture
def world(mesh: Mesh) -> Iterator[ScenarioContext]:
    """The doors, as scenarios use them, with nobody signed up yet."""
    with (
        httpx.Client(base_url=mesh.edge_url, timeout=20, trust_env=False) as edge,
        httpx.Client(base_url=mesh.sandbox_url, timeout=20, trust_env=False) as outside,
    ):
        yield ScenarioContext(edge, outside, Console(quiet=True))


@pytest.fixture
def pending(world: ScenarioContext) -> ScenarioContext:
    """A world in which a new customer has confirmed an order."""
    for scenario in (scenarios.register, scenarios.check, scenarios.confirm):
        scenario(world)
    return world


@pytest.fixture
def state_text(mesh: Mesh) -> Callable[[], str]:
    """Every text in every table of the services' databases and in the document store, each on a line."""

    def read() -> str:
        return "\n".join(store_dump.iter_stored_values(mesh.state_dir))

    return read
