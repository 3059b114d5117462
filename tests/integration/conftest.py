"""Real servers for integration tests."""

from collections.abc import Iterator

import pytest

from tests.conftest import STATE
from tests.integration.servers import Servers


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Running servers, with nobody else on them."""
    made = Servers(STATE.with_name("events"), 4000)
    done = made.run("up", "--only", "servers")
    assert done.returncode == 0, done.stdout + done.stderr
    yield made
    made.run("down")
