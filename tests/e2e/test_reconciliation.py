"""A paid order whose partner is not told: operators are mailed, once; and what the stores lost is made again."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import psycopg
import pymongo
import pytest

from deploy.local.demo import scenarios
from deploy.local.demo.scenarios import BASKET, ScenarioContext
from deploy.local.infrastructure.services import build_base_environment, build_service_environment
from deploy.local.mesh_config import ROOT, MeshConfig
from deploy.local.pki.secrets import Secrets
from tests.e2e.test_orders import pay

type Bearer = Callable[[str], dict[str, str]]

OPERATORS = "operators@delivery.test"


@pytest.fixture
def told() -> dict[str, str]:
    """What orders is told on the tests' mesh, and that half a second of waiting is long."""
    state = MeshConfig(os.environ)
    return (
        build_base_environment()
        | dict(build_service_environment(state, Secrets(state), "orders"))
        | {"PARTNER_NOTIFICATION_TIMEOUT_SECONDS": "0.5"}
    )


@pytest.fixture
def deaf(sandbox: httpx.Client) -> Iterator[str]:
    """The partner's system answers nothing, until the test is over."""
    path = f"/kitchen/{BASKET['partner_id']}/fault"
    sandbox.put(path, json={"mode": "error"}).raise_for_status()
    yield path
    sandbox.put(path, json={"mode": "none"}).raise_for_status()


def reconcile(told: dict[str, str]) -> str:
    command = [sys.executable, "-m", "services.orders", "reconcile"]
    done = subprocess.run(command, cwd=ROOT, env=told, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def partner_notified_at(told: dict[str, str], order_id: str) -> Any:
    with psycopg.connect(told["DATABASE_URL"], autocommit=True) as connection:
        row = connection.execute("SELECT partner_notified_at FROM orders WHERE id = %s", (order_id,)).fetchone()
    assert row is not None
    return row[0]


def alerted(told: dict[str, str], order_id: str) -> bool:
    with psycopg.connect(told["DATABASE_URL"], autocommit=True) as connection:
        found = connection.execute("SELECT reason FROM alerts WHERE subject = %s", (f"order:{order_id}",)).fetchall()
    return found == [("PARTNER_NOT_NOTIFIED",)]


def alerts(world: ScenarioContext) -> list[str]:
    return [mail["subject"] for mail in world.sandbox_get(f"/mailbox/{OPERATORS}") if world.order_id in mail["text"]]


def test_operators_are_mailed_once_of_a_paid_order_whose_partner_is_not_told(
    pending: ScenarioContext, deaf: str, told: dict[str, str], edge: httpx.Client, bearer: Bearer
) -> None:
    pay(pending)
    pending.wait_until("it is stuck", lambda: " 0 stuck" not in reconcile(told) and alerted(told, pending.order_id))
    assert partner_notified_at(told, pending.order_id) is None
    pending.wait_until("operators are mailed", lambda: alerts(pending))
    reconcile(told)

    pending.sandbox_request("PUT", deaf, 204, json={"mode": "none"})
    found = edge.get("/partner-calls", params={"order_id": pending.order_id}, headers=bearer("admin")).json()["items"]
    assert edge.post(f"/partner-calls/{found[0]['id']}/replay", headers=bearer("admin")).status_code == 202
    pending.wait_until("the partner takes it", lambda: partner_notified_at(told, pending.order_id))
    kitchen = pending.sandbox_get(f"/kitchen/{BASKET['partner_id']}/orders")
    heard = [call for call in kitchen if call["body"]["order_id"] == pending.order_id]
    assert len({call["webhook_id"] for call in heard}) == 1, "saying it again made no second call"
    assert alerts(pending) == ["Alert: PARTNER_NOT_NOTIFIED"]


def test_an_entry_that_was_lost_is_back_and_nobody_is_told_again(
    pending: ScenarioContext, told: dict[str, str]
) -> None:
    pay(pending)
    history = f"/orders/{pending.order_id}/history"

    def statuses() -> list[str]:
        return [entry["status"] for entry in pending.request("GET", history, 200, user="customer")["items"]]

    pending.wait_until("it is written", lambda: statuses() == ["pending", "paid"])
    pending.wait_until("the partner takes it", lambda: partner_notified_at(told, pending.order_id))
    with pymongo.MongoClient[Any](told["DOCUMENTS_URL"]) as client:
        client["orders"]["history"].delete_one({"order_id": pending.order_id, "version": 2})
    assert statuses() == ["pending"]
    with psycopg.connect(told["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(
            "UPDATE orders SET updated_at = updated_at - interval '1 hour' WHERE id = %s", (pending.order_id,)
        )
    reconcile(told)  # the service may have been faster; either way it is repaired now, or in a moment
    pending.wait_until("it is back", lambda: statuses() == ["pending", "paid"])

    def heard() -> list[str]:
        return [message["data"].get("event") for message in pending.sandbox_get(f"/devices/{pending.device}/messages")]

    scenarios.ready(pending)
    pending.wait_until("the customer hears what came later", lambda: "orders.ready" in heard())
    assert heard().count("orders.paid") == 1
