"""Ready callbacks of a partner that reuses the ids of its webhooks."""

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import httpx
import msgspec

from deploy.local.demo import scenarios
from deploy.local.demo.scenario_context import ScenarioContext
from deploy.local.demo.scenarios import BASKET
from deploy.local.mesh_config import MeshConfig
from deploy.local.pki.secrets import Secrets
from services.runtime.core.clock import now
from services.runtime.outbound import webhooks


def test_concurrent_reports_under_one_webhook_id_have_one_effect(context: ScenarioContext, edge: httpx.Client) -> None:
    secret, webhook_id = Secrets(MeshConfig(os.environ)).webhook_secret, uuid4().hex
    order_ids = []
    for number in range(3):
        if number:
            scenarios.check(context)
            scenarios.confirm(context)
        scenarios.pay(context)
        order_ids.append(context.order_id)

    def report(order_id: str) -> tuple[int, str]:
        body = msgspec.json.encode({"order_id": order_id, "pickup_address": "1 Market Square"})
        headers = webhooks.sign_message(webhook_id, now(), body, secret) | {"content-type": "application/json"}
        response = edge.post(f"/callbacks/partners/{BASKET['partner_id']}/ready", content=body, headers=headers)
        return response.status_code, response.json().get("reason", "") if response.content else ""

    def get_statuses() -> dict[str, str]:
        statuses = {}
        for order_id in order_ids:
            context.order_id = order_id
            statuses[order_id] = context.get_order()["status"]
        return statuses

    with ThreadPoolExecutor(len(order_ids)) as pool:
        results = dict(zip(order_ids, pool.map(report, order_ids), strict=True))
    assert Counter(results.values()) == {(202, ""): 1, (422, "WEBHOOK_ID_REUSED"): 2}
    [accepted] = [order_id for order_id, result in results.items() if result == (202, "")]
    assert report(accepted) == (202, "")
    context.wait_until("the order is ready", lambda: get_statuses()[accepted] == "ready")
    assert Counter(get_statuses().values()) == {"ready": 1, "paid": 2}
