"""Emulated partner systems: orders, cancellations, ready callbacks and faults."""

import json
from typing import Any

import httpx
import pytest

from services.sandbox.fault_injection import FaultInjector, PartnerFaultMode
from services.sandbox.partner.partner_system import PartnerSystem
from services.sandbox.rendering import PageRenderer
from services.sandbox.store import SqliteDatabase
from services.sandbox.webhooks import WebhookClient
from tests.unit.sandbox.components import CALLBACK_URL, OTHER_SECRET, CallbackReceiver, create_client, sign

ORDER: dict[str, Any] = {
    "order_id": "o1",
    "items": [{"product_id": 1, "title": "Soup", "quantity": 2}],
    "callback_url": CALLBACK_URL,
}
CONTENT = json.dumps(ORDER).encode()
CANCELLATION = "/partner/1/orders/o1/cancellation"


@pytest.fixture
def client(
    database: SqliteDatabase, webhook_client: WebhookClient, fault_injector: FaultInjector, renderer: PageRenderer
) -> httpx.AsyncClient:
    return create_client(PartnerSystem(database, webhook_client, fault_injector, renderer))


async def send(
    client: httpx.AsyncClient, content: bytes = CONTENT, webhook_id: str = "w1", path: str = "/partner/1/orders"
) -> httpx.Response:
    return await client.post(path, content=content, headers=sign(content, webhook_id))


async def list_calls(client: httpx.AsyncClient, partner: int = 1) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = (await client.get(f"/kitchen/{partner}/orders")).json()
    return calls


async def mark_ready(client: httpx.AsyncClient, order_id: str = "o1") -> httpx.Response:
    return await client.post(f"/kitchen/1/orders/{order_id}/ready", json={"pickup_address": "5 Market Square"})


async def test_accepted_order_is_recorded(client: httpx.AsyncClient) -> None:
    response = await send(client)
    assert (response.status_code, response.content) == (204, b"")
    (call,) = await list_calls(client)
    assert (call["webhook_id"], call["kind"], call["body"], call["signature_valid"]) == ("w1", "order", ORDER, True)
    assert await list_calls(client, 2) == []


async def test_repeated_order_is_counted_and_accepted_once(
    client: httpx.AsyncClient, callback_receiver: CallbackReceiver
) -> None:
    assert [(await send(client)).status_code for _ in range(3)] == [204] * 3
    changed = json.dumps(ORDER | {"callback_url": "https://other.test"}).encode()
    assert (await send(client, changed, "w2")).status_code == 204
    assert [call["times_received"] for call in await list_calls(client)] == [3, 1]
    await mark_ready(client)
    assert str(callback_receiver.requests[0].url) == CALLBACK_URL, "the first order with the id counts"


async def test_order_with_invalid_signature_is_recorded_and_rejected(client: httpx.AsyncClient) -> None:
    headers = sign(CONTENT, "w1", OTHER_SECRET)
    assert (await client.post("/partner/1/orders", content=CONTENT, headers=headers)).status_code == 401
    assert [call["signature_valid"] for call in await list_calls(client)] == [False]
    assert (await mark_ready(client)).status_code == 404


@pytest.mark.parametrize(
    "changes",
    [
        {"order_id": ""},
        {"items": []},
        {"items": [{"product_id": 1, "title": "Soup", "quantity": 0}]},
        {"items": [{"product_id": 1, "title": "Soup", "quantity": 100}]},
        {"items": [{"product_id": 1, "title": "Soup", "quantity": 1}] * 51},
        {"callback_url": "javascript:alert(1)"},
    ],
)
async def test_invalid_order_is_recorded_and_rejected(client: httpx.AsyncClient, changes: dict[str, Any]) -> None:
    assert (await send(client, json.dumps(ORDER | changes).encode())).status_code == 400
    assert len(await list_calls(client)) == 1


@pytest.mark.parametrize("content", [b"{", b"[]", b'"text"', b""])
async def test_body_that_is_no_order_is_recorded_as_received(client: httpx.AsyncClient, content: bytes) -> None:
    assert (await send(client, content)).status_code == 400
    (call,) = await list_calls(client)
    assert call["body"] in (content.decode(), [], "text")


async def test_field_of_a_later_contract_version_is_accepted(client: httpx.AsyncClient) -> None:
    assert (await send(client, json.dumps(ORDER | {"priority": "high"}).encode())).status_code == 204


@pytest.mark.parametrize("is_known", [True, False])
async def test_cancellation_is_accepted_for_any_order(client: httpx.AsyncClient, is_known: bool) -> None:
    if is_known:
        await send(client)
    for _ in range(2):
        assert (await send(client, b"{}", "w2", CANCELLATION)).status_code == 204
    call = (await list_calls(client))[-1]
    assert (call["kind"], call["times_received"]) == ("cancellation", 2)
    assert ("cancelled" in (await client.get("/kitchen/1")).text) == is_known


async def test_ready_callback_is_signed(client: httpx.AsyncClient, callback_receiver: CallbackReceiver) -> None:
    await send(client)
    callback_receiver.responses = [httpx.Response(202)]
    assert (await mark_ready(client)).json() == {"status": 202, "body": None}
    assert callback_receiver.verify() == {"order_id": "o1", "pickup_address": "5 Market Square"}


async def test_cancelled_order_can_be_reported_as_ready(
    client: httpx.AsyncClient, callback_receiver: CallbackReceiver
) -> None:
    """The cancellation may reach a kitchen too late, which the platform must handle."""
    await send(client)
    await send(client, b"{}", "w2", CANCELLATION)
    assert (await mark_ready(client)).status_code == 200
    assert len(callback_receiver.requests) == 1


@pytest.mark.parametrize("body", [{}, {"pickup_address": ""}, {"pickup_address": "x" * 201}, {"address": "x"}])
async def test_ready_report_without_address_is_rejected(client: httpx.AsyncClient, body: dict[str, str]) -> None:
    await send(client)
    assert (await client.post("/kitchen/1/orders/o1/ready", json=body)).status_code == 400


@pytest.mark.parametrize(
    ("mode", "status"),
    [
        (PartnerFaultMode.NONE, 204),
        (PartnerFaultMode.SLOW, 204),
        (PartnerFaultMode.ERROR, 503),
        (PartnerFaultMode.BUSY, 503),
        (PartnerFaultMode.REJECT, 422),
        (PartnerFaultMode.GONE, 410),
        (PartnerFaultMode.INVALID_RESPONSE, 200),
        (PartnerFaultMode.REDIRECT, 307),
    ],
)
async def test_fault_decides_about_the_response_once(
    client: httpx.AsyncClient, mode: PartnerFaultMode, status: int
) -> None:
    assert (await client.put("/kitchen/1/fault", json={"mode": mode, "count": 2})).status_code == 204
    responses = [await send(client), await send(client, b"{}", "w2", CANCELLATION)]
    assert [response.status_code for response in responses] == [status, status]
    assert (await send(client)).status_code == 204
    assert [call["times_received"] for call in await list_calls(client)] == [2, 1], "every call is recorded"


async def test_busy_partner_names_the_time_of_the_next_attempt(client: httpx.AsyncClient) -> None:
    await client.put("/kitchen/1/fault", json={"mode": "busy", "count": 1})
    assert (await send(client)).headers["retry-after"] == "2"


async def test_new_secret_of_the_partner_is_used(client: httpx.AsyncClient) -> None:
    await client.put("/kitchen/1/secret", json={"webhook_secret": OTHER_SECRET})
    assert (await send(client)).status_code == 401
    headers = sign(CONTENT, "w2", OTHER_SECRET)
    assert (await client.post("/partner/1/orders", content=CONTENT, headers=headers)).status_code == 204


async def test_kitchen_page_shows_orders_and_accepts_forms(
    client: httpx.AsyncClient, callback_receiver: CallbackReceiver
) -> None:
    items = [ORDER["items"][0] | {"title": "<b>Soup</b>"}]
    await send(client, json.dumps(ORDER | {"items": items, "note": "No <onions>"}).encode())
    page = (await client.get("/kitchen/1")).text
    assert "2 × &lt;b&gt;Soup&lt;/b&gt;" in page
    assert "Note: No &lt;onions&gt;" in page
    response = await client.post("/kitchen/1/orders/o1/ready", data={"pickup_address": "5 Market Square"})
    assert (response.status_code, response.headers["location"]) == (303, "/kitchen/1")
    assert (await client.post("/kitchen/1/fault", data={"mode": "gone"})).status_code == 303
    assert len(callback_receiver.requests) == 1
    assert "<strong>200</strong>" in (await client.get("/kitchen/1")).text
