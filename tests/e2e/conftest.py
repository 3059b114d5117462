"""Fixtures of end-to-end tests: tokens of demo accounts and scenario contexts."""

from collections.abc import Callable, Iterator

import httpx
import pytest
from rich.console import Console

from deploy.local.demo import scenarios
from deploy.local.demo.scenario_context import ScenarioContext
from deploy.local.demo.scenarios import DEMO_PASSWORD
from tests import store_dump
from tests.conftest import Mesh
from tests.users import SignUp, User


@pytest.fixture(scope="session")
def token(edge: httpx.Client) -> Callable[[str], str]:
    """Return a function that returns the access token of the demo customer, deliverer or admin."""
    tokens: dict[str, str] = {}

    def get_token(name: str) -> str:
        if name not in tokens:
            body = {"email": f"{name}@delivery.test", "password": DEMO_PASSWORD}
            tokens[name] = edge.post("/sessions", json=body).raise_for_status().json()["access_token"]
        return tokens[name]

    return get_token


@pytest.fixture(scope="session")
def bearer(token: Callable[[str], str]) -> Callable[[str], dict[str, str]]:
    """Return a function that returns the Authorization header of a demo account."""
    return lambda name: {"authorization": f"Bearer {token(name)}"}


@pytest.fixture
def sign_up(edge: httpx.Client, sandbox: httpx.Client) -> SignUp:
    """Return a function that signs users up."""
    return lambda *args, **profile: User(edge, sandbox, *args, **profile)


@pytest.fixture
def context(mesh: Mesh) -> Iterator[ScenarioContext]:
    """Return a scenario context without users."""
    with (
        httpx.Client(base_url=mesh.edge_url, timeout=20, trust_env=False) as edge,
        httpx.Client(base_url=mesh.sandbox_url, timeout=20, trust_env=False) as sandbox,
    ):
        yield ScenarioContext(edge, sandbox, Console(quiet=True))


@pytest.fixture
def pending(context: ScenarioContext) -> ScenarioContext:
    """Return a scenario context with a new customer and a pending order."""
    for scenario in (scenarios.register, scenarios.check, scenarios.confirm):
        scenario(context)
    return context


@pytest.fixture
def state_text(mesh: Mesh) -> Callable[[], str]:
    """Return a function that returns all values in the databases and the document store, one per line."""

    def read() -> str:
        return "\n".join(store_dump.iter_stored_values(mesh.state_dir))

    return read
