"""Emulated banks: checkout outcomes, refunds, ledger and faults."""

import json
from datetime import UTC, datetime
from html import escape
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.orders.entrypoints.payment_instructions import sign_checkout, sign_return_url
from services.sandbox.bank import payment_system
from services.sandbox.bank.messages import MAX_AMOUNT
from services.sandbox.bank.payment_system import Bank
from services.sandbox.fault_injection import BankFaultMode, FaultInjector
from services.sandbox.rendering import PageRenderer
from services.sandbox.store import SqliteDatabase
from services.sandbox.webhooks import WebhookClient
from tests.unit.sandbox.components import CALLBACK_URL, OTHER_SECRET, SECRET, CallbackReceiver, create_client, sign

CHECKOUT = {"order_id": "o1", "amount": 1000, "currency": "USD", "callback_url": CALLBACK_URL, "outcome": "pay"}


@pytest.fixture
def client(
    database: SqliteDatabase, webhook_client: WebhookClient, fault_injector: FaultInjector, renderer: PageRenderer
) -> httpx.AsyncClient:
    return create_client(Bank(database, webhook_client, fault_injector, renderer, "https://edge.test"))


async def pay(client: httpx.AsyncClient, **changes: object) -> str:
    response = await client.post("/checkout/visa", json=CHECKOUT | changes)
    assert response.status_code == 200, response.text
    return str(response.json()["payment_id"])


async def refund(client: httpx.AsyncClient, payment_id: str, amount: int = 100, **changes: object) -> httpx.Response:
    body = {"refund_id": "r1", "payment_id": payment_id, "amount": amount, "currency": "USD"} | changes
    content = json.dumps(body).encode()
    return await client.post("/bank/visa/refunds", content=content, headers=sign(content))


async def list_ledger(client: httpx.AsyncClient, bank: str = "visa") -> list[dict[str, Any]]:
    ledger: list[dict[str, Any]] = (await client.get(f"/bank/{bank}/ledger")).json()
    return ledger


@pytest.mark.parametrize(
    ("outcome", "amount", "status", "captured", "callback_count"),
    [
        ("pay", 1000, "succeeded", 1000, 1),
        ("fail", 1000, "failed", 0, 1),
        ("twice", 1000, "succeeded", 1000, 2),
        ("less", 999, "succeeded", 999, 1),
        ("more", 1001, "succeeded", 1001, 1),
    ],
)
async def test_outcome_decides_about_amount_and_callbacks(
    client: httpx.AsyncClient,
    callback_receiver: CallbackReceiver,
    outcome: str,
    amount: int,
    status: str,
    captured: int,
    callback_count: int,
) -> None:
    payment_id = await pay(client, outcome=outcome)
    assert len(callback_receiver.requests) == callback_count
    for number in range(callback_count):
        assert callback_receiver.verify(number) == {
            "payment_id": payment_id,
            "order_id": "o1",
            "amount": amount,
            "currency": "USD",
            "status": status,
        }
    assert len({request.headers["webhook-id"] for request in callback_receiver.requests}) == 1
    assert [(entry["captured"], entry["refunded"]) for entry in await list_ledger(client)] == [(captured, 0)]


@pytest.mark.parametrize(("outcome", "amount"), [("less", 0), ("more", MAX_AMOUNT)])
async def test_amount_that_leaves_its_range_is_rejected(
    client: httpx.AsyncClient, callback_receiver: CallbackReceiver, outcome: str, amount: int
) -> None:
    response = await client.post("/checkout/visa", json=CHECKOUT | {"outcome": outcome, "amount": amount})
    assert response.status_code == 422
    assert (callback_receiver.requests, await list_ledger(client)) == ([], [])


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": -1},
        {"amount": MAX_AMOUNT + 1},
        {"amount": "1"},
        {"currency": "usd"},
        {"order_id": ""},
        {"order_id": "a b"},
        {"callback_url": "ftp://edge.test"},
        {"outcome": "refund"},
        {"extra": 1},
    ],
)
async def test_invalid_checkout_is_rejected(client: httpx.AsyncClient, changes: dict[str, object]) -> None:
    assert (await client.post("/checkout/visa", json=CHECKOUT | changes)).status_code == 400
    assert await list_ledger(client) == []


async def test_payment_is_stored_although_its_callback_fails(
    client: httpx.AsyncClient, callback_receiver: CallbackReceiver
) -> None:
    callback_receiver.responses = [httpx.ConnectError("refused")]
    response = await client.post("/checkout/visa", json=CHECKOUT)
    assert response.json()["callbacks"] == [{"status": 0, "body": "ConnectError"}]
    assert [entry["captured"] for entry in await list_ledger(client)] == [1000]


async def test_form_is_redirected_to_its_result(client: httpx.AsyncClient) -> None:
    response = await client.post("/checkout/visa", data=CHECKOUT | {"amount": "1000"})
    assert response.status_code == 303
    page = await client.get(response.headers["location"])
    assert "10.00 USD captured" in page.text
    assert 'value="1000"' in page.text


async def test_checkout_page_suggests_the_callback_of_the_edge(client: httpx.AsyncClient) -> None:
    page = (await client.get("/checkout/visa", params={"order_id": '"><script>'})).text
    assert "https://edge.test/api/v1/callbacks/payments/visa" in page
    assert "<script>" not in page


async def test_refund_is_capped_by_the_captured_amount(client: httpx.AsyncClient) -> None:
    payment_id = await pay(client)
    assert (await refund(client, payment_id, 600)).status_code == 200
    assert (await refund(client, payment_id, 401, refund_id="r2")).status_code == 422
    assert (await refund(client, payment_id, 400, refund_id="r3")).status_code == 200
    assert [entry["refunded"] for entry in await list_ledger(client)] == [1000]


async def test_repeated_refund_has_one_effect(client: httpx.AsyncClient) -> None:
    payment_id = await pay(client)
    responses = [await refund(client, payment_id, 100) for _ in range(3)]
    assert {response.status_code for response in responses} == {200}
    assert len({response.text for response in responses}) == 1
    assert [entry["refunded"] for entry in await list_ledger(client)] == [100]


@pytest.mark.parametrize("changes", [{"amount": 101}, {"payment_id": "p2"}, {"currency": "EUR"}])
async def test_refund_id_of_another_refund_is_rejected(client: httpx.AsyncClient, changes: dict[str, Any]) -> None:
    payment_id = await pay(client)
    await refund(client, payment_id)
    body = {"payment_id": payment_id, "amount": 100} | changes
    assert (await refund(client, **body)).status_code == 409


@pytest.mark.parametrize(
    ("outcome", "changes", "status"),
    [
        ("pay", {"payment_id": "missing"}, 404),
        ("pay", {"currency": "EUR"}, 422),
        ("pay", {"amount": 0}, 400),
        ("fail", {}, 422),
    ],
)
async def test_impossible_refund_is_rejected(
    client: httpx.AsyncClient, outcome: str, changes: dict[str, Any], status: int
) -> None:
    body: dict[str, Any] = {"payment_id": await pay(client, outcome=outcome)} | changes
    assert (await refund(client, **body)).status_code == status
    assert [entry["refunded"] for entry in await list_ledger(client)] == [0]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(amounts=st.lists(st.integers(1, 1200), max_size=6))
async def test_refunds_never_exceed_the_payment(client: httpx.AsyncClient, amounts: list[int]) -> None:
    payment_id = await pay(client)
    expected = 0
    for number, amount in enumerate(amounts):
        response = await refund(client, payment_id, amount, refund_id=f"{payment_id}-{number}")
        assert response.status_code == (200 if expected + amount <= 1000 else 422)
        expected += amount if response.status_code == 200 else 0
    (entry,) = [each for each in await list_ledger(client) if each["payment_id"] == payment_id]
    assert entry["refunded"] == expected


async def test_unsigned_refund_is_rejected_before_any_fault(
    client: httpx.AsyncClient, fault_injector: FaultInjector
) -> None:
    fault_injector.set("bank:visa", BankFaultMode.ERROR, 1)
    assert (await client.post("/bank/visa/refunds", json={})).status_code == 401
    assert fault_injector.get("bank:visa") == ("error", 1)


@pytest.mark.parametrize(
    ("mode", "status", "refunded"), [("error", 503, 0), ("refuse", 422, 0), ("slow", 200, 100), ("none", 200, 100)]
)
async def test_fault_decides_about_response_and_effect(
    client: httpx.AsyncClient, mode: str, status: int, refunded: int
) -> None:
    payment_id = await pay(client)
    assert (await client.put("/bank/visa/fault", json={"mode": mode, "count": 1})).status_code == 204
    assert (await refund(client, payment_id)).status_code == status
    assert [entry["refunded"] for entry in await list_ledger(client)] == [refunded]
    assert (await refund(client, payment_id)).status_code == 200, "the fault applies once"


async def test_banks_are_independent(client: httpx.AsyncClient) -> None:
    payment_id = await pay(client)
    content = json.dumps({"refund_id": "r1", "payment_id": payment_id, "amount": 1, "currency": "USD"}).encode()
    response = await client.post("/bank/km/refunds", content=content, headers=sign(content))
    assert response.status_code == 404
    assert await list_ledger(client, "km") == []


async def test_new_secret_of_the_bank_is_used(client: httpx.AsyncClient, callback_receiver: CallbackReceiver) -> None:
    response = await client.put("/bank/visa/secret", json={"webhook_secret": OTHER_SECRET})
    assert response.status_code == 204
    payment_id = await pay(client)
    assert callback_receiver.verify(secret=OTHER_SECRET)
    assert (await refund(client, payment_id)).status_code == 401


async def test_invalid_secret_or_fault_is_rejected(client: httpx.AsyncClient) -> None:
    assert (await client.put("/bank/visa/secret", json={"webhook_secret": "x"})).status_code == 400
    assert (await client.put("/bank/visa/fault", json={"mode": "busy"})).status_code == 400


async def test_ledger_page_shows_newest_payment_first_and_sets_faults(client: httpx.AsyncClient) -> None:
    first, second = await pay(client), await pay(client, amount=5)
    response = await client.post("/bank/visa/fault", data={"mode": "error"})
    assert (response.status_code, response.headers["location"]) == (303, "/bank/visa")
    page = (await client.get("/bank/visa")).text
    assert page.index(second) < page.index(first)
    assert "0.05 USD" in page


async def test_captured_payments_are_listed_by_period_in_pages(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payment_system, "PAYMENTS_PER_PAGE", 2)
    paid = [await pay(client, order_id=f"o{number}") for number in range(3)]
    await pay(client, outcome="fail")

    async def list_page(since: str, until: str, **token: str) -> httpx.Response:
        content = json.dumps({"captured_since": since, "captured_until": until} | token).encode()
        return await client.post("/bank/visa/payments/list", content=content, headers=sign(content))

    first = (await list_page("2020-01-01T00:00:00Z", "2999-01-01T00:00:00+02:00")).json()
    token = first["next_page_token"]
    last = (await list_page("2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z", page_token=token)).json()
    assert [each["payment_id"] for each in first["payments"] + last["payments"]] == paid
    assert first["payments"][0] == {"payment_id": paid[0], "order_id": "o0", "amount": 1000, "currency": "USD"}
    assert "next_page_token" not in last
    assert (await list_page("2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z")).json() == {"payments": []}
    unsigned = await client.post("/bank/visa/payments/list", content=b"{}")
    assert unsigned.status_code == 401


async def test_checkout_page_with_changed_amount_is_rejected(client: httpx.AsyncClient) -> None:
    query = {"order_id": "o1", "amount": "200", "currency": "USD", "callback_url": "https://api.test/callback"}
    signed = sign_checkout("o1", datetime.now(UTC), 200, "USD", query["callback_url"], [SECRET])
    assert (await client.get("/checkout/visa", params=query | signed)).status_code == 200
    changed = await client.get("/checkout/visa", params=query | signed | {"amount": "1"})
    malformed = await client.get("/checkout/visa", params={"signature": "v1,", "timestamp": "x"})
    assert (changed.status_code, malformed.status_code) == (401, 401)


async def test_customer_returns_to_signed_return_url_after_payment(client: httpx.AsyncClient) -> None:
    created_at = datetime.now(UTC)
    query = {"order_id": "o1", "amount": "200", "currency": "USD", "callback_url": CALLBACK_URL}
    signed = sign_checkout("o1", created_at, 200, "USD", CALLBACK_URL, [SECRET])
    returned = sign_return_url("o1", created_at, "https://app.test/orders?order_id=o1", [SECRET])
    page = await client.get("/checkout/visa", params=query | signed | returned)
    assert (page.status_code, page.headers.get("refresh")) == (200, None)
    assert '<a href="https://app.test/orders?order_id=o1">' in page.text
    form = query | returned | {"timestamp": signed["timestamp"], "outcome": "pay"}
    assert all(f'name="{name}" value="{escape(returned[name])}"' in page.text for name in returned)
    paid = await client.post("/checkout/visa", data=form, follow_redirects=True)
    assert (paid.status_code, paid.headers["refresh"]) == (200, "5; url=https://app.test/orders?order_id=o1")


@pytest.mark.parametrize("changes", [{"return_url": "https://evil.test/"}, {"return_url_signature": "v1,AAAA"}])
async def test_checkout_page_with_changed_return_url_is_rejected(
    client: httpx.AsyncClient, changes: dict[str, str]
) -> None:
    created_at = datetime.now(UTC)
    query = {"order_id": "o1", "timestamp": str(int(created_at.timestamp()))}
    returned = sign_return_url("o1", created_at, "https://app.test/", [SECRET])
    assert (await client.get("/checkout/visa", params=query | returned)).status_code == 200
    assert (await client.get("/checkout/visa", params=query | returned | changes)).status_code == 401
    unsigned = await client.get("/checkout/visa", params={"order_id": "o1", "return_url": "https://app.test/"})
    assert unsigned.status_code == 401
