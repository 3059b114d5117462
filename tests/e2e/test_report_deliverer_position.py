"""reportDelivererPosition: Report the position of the deliverer."""

import json
from collections.abc import Callable

import httpx
import pytest

from deploy.local.demo import scenarios
from deploy.local.demo.scenario_context import ScenarioContext

BODY = {"latitude": 39.78, "longitude": -89.65}


def test_report_deliverer_position_without_token_returns_401(edge: httpx.Client) -> None:
    assert edge.request("PUT", "/orders/1/deliverer-position", json=BODY).status_code == 401


@pytest.mark.parametrize("role", ["customer", "admin"])
def test_report_deliverer_position_with_other_role_returns_403(
    edge: httpx.Client, bearer: Callable[[str], dict[str, str]], role: str
) -> None:
    assert edge.request("PUT", "/orders/1/deliverer-position", json=BODY, headers=bearer(role)).status_code == 403


def test_watching_customer_receives_positions(pending: ScenarioContext, edge: httpx.Client) -> None:
    path = f"/orders/{pending.order_id}/deliverer-position"
    for scenario in (scenarios.pay, scenarios.report_ready):
        scenario(pending)
    sign_in = {"email": "deliverer@delivery.test", "password": scenarios.DEMO_PASSWORD}
    pending.tokens["deliverer"] = pending.request("POST", "/sessions", 200, json=sign_in)["access_token"]
    pending.request("PUT", path, 404, user="deliverer", json=BODY)
    pending.request("POST", f"/orders/{pending.order_id}/assignment", 200, user="deliverer")
    pending.request("PUT", path, 400, user="deliverer", json=BODY | {"latitude": 90.5})
    headers = {"authorization": f"Bearer {pending.tokens['customer']}"}
    with edge.stream("GET", f"/orders/{pending.order_id}/events", headers=headers, timeout=30) as stream:
        lines = (line for line in stream.iter_lines() if line and line != ":")
        current = json.loads([next(lines), next(lines)][1].removeprefix("data: "))
        assert current["status"] == "delivering"
        pending.request("PUT", path, 204, user="deliverer", json=BODY)
        name, event_id, data = next(lines), next(lines), next(lines)
        event = json.loads(data.removeprefix("data: "))
        assert (name, event_id) == ("event: deliverer_position", "id: 4")
        assert (event["status"], event["deliverer_position"]) == ("delivering", BODY)
        pending.request("POST", f"/orders/{pending.order_id}/delivery", 200, user="deliverer")
        assert [next(lines), json.loads(next(lines).removeprefix("data: "))["status"]] == ["id: 5", "delivered"]
    problem = pending.request("PUT", path, 409, user="deliverer", json=BODY)
    assert (problem["reason"], problem["order_status"]) == ("ORDER_STATE_CONFLICT", "delivered")
