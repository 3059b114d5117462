"""getOrderCheck: Read an order check."""

from collections.abc import Callable

import httpx
import pytest

from deploy.local.demo import scenarios
from deploy.local.demo.scenario_context import ScenarioContext
from tests.e2e.test_error_responses import assert_problem


def test_get_order_check_without_token_returns_401(edge: httpx.Client) -> None:
    assert edge.request("GET", "/order-checks/1").status_code == 401


@pytest.mark.parametrize("role", ["deliverer", "admin"])
def test_get_order_check_with_other_role_returns_403(
    edge: httpx.Client, bearer: Callable[[str], dict[str, str]], role: str
) -> None:
    assert edge.request("GET", "/order-checks/1", headers=bearer(role)).status_code == 403


def test_order_check_is_readable_at_its_location(
    context: ScenarioContext, edge: httpx.Client, bearer: Callable[[str], dict[str, str]]
) -> None:
    scenarios.register(context)
    headers = {"authorization": f"Bearer {context.tokens['customer']}"}
    checked = edge.post("/order-checks", json=scenarios.BASKET, headers=headers)
    path = checked.headers["location"].removeprefix("/api/v1")
    read = edge.get(path, headers=headers)
    assert (read.status_code, read.json()) == (200, checked.json())
    for unreadable, user in ((path, bearer("customer")), ("/order-checks/unknown", headers)):
        assert_problem(edge.get(unreadable, headers=user), 410, "CHECK_EXPIRED")
    assert_problem(edge.get(path, params={"x": "1"}, headers=headers), 400, "INVALID_REQUEST")
