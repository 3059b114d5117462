"""Orders for tests of callbacks."""

from collections.abc import Iterator

import httpx
import pytest
from rich.console import Console

from deploy.local.demo import scenarios
from deploy.local.demo.scenario_context import ScenarioContext
from tests.conftest import Mesh


@pytest.fixture
def context(mesh: Mesh, sandbox: httpx.Client) -> Iterator[ScenarioContext]:
    """Return a scenario context with a customer and a pending order."""
    with httpx.Client(base_url=mesh.edge_url, timeout=20, trust_env=False) as client:
        context = ScenarioContext(client, sandbox, Console(quiet=True))
        for scenario in (scenarios.register, scenarios.check, scenarios.confirm):
            scenario(context)
        yield context
