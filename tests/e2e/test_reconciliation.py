"""Reconciliation through the edge: alert mails about stuck orders and lost payments, repair of history entries."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import msgspec
import psycopg
import pymongo
import pytest

from deploy.local.demo import scenarios
from deploy.local.demo.scenario_context import ScenarioContext
from deploy.local.demo.scenarios import BASKET
from deploy.local.infrastructure.services import build_base_environment, build_service_environment
from deploy.local.mesh_config import ROOT, MeshConfig
from deploy.local.pki.secrets import Secrets
from services.runtime.core.clock import now
from services.runtime.outbound import webhooks
from tests.e2e.test_orders import pay

type Bearer = Callable[[str], dict[str, str]]

OPERATORS = "operators@delivery.test"


@pytest.fixture
def environment() -> dict[str, str]:
    """Environment of orders on the tests' mesh, with a partner notification timeout of half a second."""
    state = MeshConfig(os.environ)
    return (
        build_base_environment(state)
        | dict(build_service_environment(state, Secrets(state), "orders"))
        | {"PARTNER_NOTIFICATION_TIMEOUT_SECONDS": "0.5"}
    )


@pytest.fixture
def partner_fault_path(sandbox: httpx.Client) -> Iterator[str]:
    """Make the partner's system fail until the end of the test; the path controls the fault."""
    path = f"/kitchen/{BASKET['partner_id']}/fault"
    sandbox.put(path, json={"mode": "error"}).raise_for_status()
    yield path
    sandbox.put(path, json={"mode": "none"}).raise_for_status()


def reconcile(environment: dict[str, str]) -> str:
    command = [sys.executable, "-m", "services.orders", "reconcile"]
    result = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, encoding="utf-8"
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def read_partner_notified_at(environment: dict[str, str], order_id: str) -> Any:
    with psycopg.connect(environment["DATABASE_URL"], autocommit=True) as connection:
        row = connection.execute("SELECT partner_notified_at FROM orders WHERE id = %s", (order_id,)).fetchone()
    assert row is not None
    return row[0]


def has_alert(environment: dict[str, str], order_id: str) -> bool:
    with psycopg.connect(environment["DATABASE_URL"], autocommit=True) as connection:
        rows = connection.execute("SELECT reason FROM alerts WHERE subject = %s", (f"order:{order_id}",)).fetchall()
    return rows == [("PARTNER_NOT_NOTIFIED",)]


def list_alert_mails(context: ScenarioContext) -> list[str]:
    """Return the subjects of the operators' mails about the order."""
    mails = context.get_from_sandbox(f"/mailbox/{OPERATORS}")
    return [mail["subject"] for mail in mails if context.order_id in mail["text"]]


def test_operators_receive_one_mail_about_order_without_partner_ack(
    pending: ScenarioContext, partner_fault_path: str, environment: dict[str, str], edge: httpx.Client, bearer: Bearer
) -> None:
    pay(pending)
    pending.wait_until(
        "the order is stuck",
        lambda: " 0 stuck" not in reconcile(environment) and has_alert(environment, pending.order_id),
    )
    assert read_partner_notified_at(environment, pending.order_id) is None
    pending.wait_until("operators receive a mail", lambda: list_alert_mails(pending))
    reconcile(environment)

    pending.request_sandbox("PUT", partner_fault_path, 204, json={"mode": "none"})
    calls = edge.get("/partner-calls", params={"order_id": pending.order_id}, headers=bearer("admin")).json()["items"]
    assert edge.post(f"/partner-calls/{calls[0]['id']}/replay", headers=bearer("admin")).status_code == 202
    pending.wait_until(
        "the partner acknowledges the order", lambda: read_partner_notified_at(environment, pending.order_id)
    )
    received_calls = pending.get_from_sandbox(f"/kitchen/{BASKET['partner_id']}/orders")
    webhook_ids = {call["webhook_id"] for call in received_calls if call["body"]["order_id"] == pending.order_id}
    assert len(webhook_ids) == 1, "the republished event must not cause a second call"
    assert list_alert_mails(pending) == ["Alert: PARTNER_NOT_NOTIFIED"]


def list_lost_payments(environment: dict[str, str], order_id: str) -> list[str]:
    """Reconcile without a quiet period, and return the lines about unrecorded payments of the order."""
    settings = {"PARTNER_NOTIFICATION_TIMEOUT_SECONDS": "3600", "RECONCILE_QUIET_PERIOD_SECONDS": "0"}
    lines = reconcile(environment | settings).splitlines()
    return [line for line in lines if line.startswith(f"{order_id}  PAYMENT_NOT_RECORDED")]


def test_payment_that_only_the_bank_has_recorded_is_reported(
    pending: ScenarioContext, environment: dict[str, str], edge: httpx.Client
) -> None:
    bank_id, total, order_id = BASKET["bank_id"], BASKET["total_amount"], pending.order_id
    payment = {"order_id": order_id, "amount": total, "currency": "USD"}
    unreachable = {"callback_url": "http://127.0.0.1:1/", "outcome": "pay"}
    payment_id = pending.request_sandbox("POST", f"/checkout/{bank_id}", 200, json=payment | unreachable)["payment_id"]
    assert list_lost_payments(environment, order_id) == [
        f"{order_id}  PAYMENT_NOT_RECORDED  reported  payment {payment_id} of bank {bank_id}: $17.00"
    ]
    pending.wait_until("operators receive a mail", lambda: list_alert_mails(pending))
    list_lost_payments(environment, order_id)

    body = msgspec.json.encode(payment | {"payment_id": payment_id, "status": "succeeded"})
    headers = webhooks.sign_message(payment_id, now(), body, Secrets(MeshConfig(os.environ)).webhook_secret)
    edge.post(
        f"/callbacks/payments/{bank_id}", content=body, headers=headers | {"content-type": "application/json"}
    ).raise_for_status()
    assert pending.get_order()["status"] == "paid"
    assert list_lost_payments(environment, order_id) == []
    assert list_alert_mails(pending) == ["Alert: PAYMENT_NOT_RECORDED"]


def test_lost_history_entry_is_restored_without_second_notification(
    pending: ScenarioContext, environment: dict[str, str]
) -> None:
    pay(pending)
    history = f"/orders/{pending.order_id}/history"

    def list_statuses() -> list[str]:
        return [entry["status"] for entry in pending.request("GET", history, 200, user="customer")["items"]]

    pending.wait_until("the history is written", lambda: list_statuses() == ["pending", "paid"])
    pending.wait_until(
        "the partner acknowledges the order", lambda: read_partner_notified_at(environment, pending.order_id)
    )
    with pymongo.MongoClient[Any](environment["DOCUMENTS_URL"]) as client:
        client["orders"]["history"].delete_one({"order_id": pending.order_id, "version": 2})
    assert list_statuses() == ["pending"]
    with psycopg.connect(environment["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(
            "UPDATE orders SET updated_at = updated_at - interval '1 hour' WHERE id = %s", (pending.order_id,)
        )
    reconcile(environment)  # the service may run the same reconciliation concurrently
    pending.wait_until("the entry is restored", lambda: list_statuses() == ["pending", "paid"])

    def list_notified_events() -> list[str]:
        messages = pending.get_from_sandbox(f"/devices/{pending.device}/messages")
        return [message["data"].get("event") for message in messages]

    scenarios.report_ready(pending)
    pending.wait_until("the customer is notified of a later event", lambda: "orders.ready" in list_notified_events())
    assert list_notified_events().count("orders.paid") == 1
