"""Fixtures of the tests of clients."""

from collections.abc import Mapping

import pytest

from deploy.local.demo.scenarios import DEMO_PASSWORD
from tests.conftest import Mesh


@pytest.fixture
def customer(mesh: Mesh) -> Mapping[str, str]:
    """Return the environment of a driver: the API and a customer."""
    email = "customer@delivery.test"
    return {"BASE_URL": f"{mesh.edge_url}/api/v1", "EMAIL": email, "PASSWORD": DEMO_PASSWORD}
