"""Emulated banks and partner systems: signatures, idempotency, faults and secrets.

The messages of banks are those of services.sandbox.bank.messages.
"""

import json
from uuid import uuid4

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from services.runtime.outbound.webhook_secrets import generate_secret
from tests.integration.sandbox.conftest import CallbackReceiver, Sandbox


@pytest.fixture
def bank() -> str:
    return f"bank-{uuid4().hex[:8]}"


@pytest.fixture
def partner() -> int:
    return uuid4().int % 10**9 + 1


def checkout(http: httpx.Client, bank: str, callback_receiver: CallbackReceiver, **changes: object) -> httpx.Response:
    body = {
        "order_id": "order-1",
        "amount": 1234,
        "currency": "USD",
        "callback_url": callback_receiver.url,
        "outcome": "pay",
    }
    return http.post(f"/checkout/{bank}", json=body | changes)


@pytest.mark.parametrize(
    ("outcome", "amount", "status", "captured", "callback_count"),
    [
        ("pay", 1234, "succeeded", 1234, 1),
        ("fail", 1234, "failed", 0, 1),
        ("twice", 1234, "succeeded", 1234, 2),
        ("less", 1233, "succeeded", 1233, 1),
        ("more", 1235, "succeeded", 1235, 1),
    ],
)
def test_checkout_sends_signed_callback(
    http: httpx.Client,
    sandbox: Sandbox,
    callback_receiver: CallbackReceiver,
    bank: str,
    outcome: str,
    amount: int,
    status: str,
    captured: int,
    callback_count: int,
) -> None:
    result = checkout(http, bank, callback_receiver, outcome=outcome).json()
    assert result["callbacks"] == [{"status": 200, "body": {"ok": True}}] * callback_count
    assert len(callback_receiver.received) == callback_count
    assert len({headers["webhook-id"] for headers, _ in callback_receiver.received}) == 1
    for headers, body in callback_receiver.received:
        callback = Webhook(sandbox.secret).verify(body, headers)
        assert callback == {
            "payment_id": result["payment_id"],
            "order_id": "order-1",
            "amount": amount,
            "currency": "USD",
            "status": status,
        }
    [entry] = http.get(f"/bank/{bank}/ledger").json()
    assert entry == {
        "payment_id": result["payment_id"],
        "order_id": "order-1",
        "captured": captured,
        "refunded": 0,
        "currency": "USD",
    }


def test_checkout_reports_callback_responses(
    http: httpx.Client, callback_receiver: CallbackReceiver, bank: str
) -> None:
    callback_receiver.responses = [
        (422, b'{"reason":"PAYMENT_INSUFFICIENT"}'),
        (503, b"unavailable"),
        (202, b""),
        (302, b""),
    ]
    responses = [checkout(http, bank, callback_receiver).json()["callbacks"][0] for _ in range(4)]
    assert responses == [
        {"status": 422, "body": {"reason": "PAYMENT_INSUFFICIENT"}},
        {"status": 503, "body": "unavailable"},
        {"status": 202, "body": None},
        {"status": 302, "body": None},
    ]
    unreachable = checkout(http, bank, callback_receiver, callback_url="http://127.0.0.1:9/").json()
    assert unreachable["callbacks"] == [{"status": 0, "body": "ConnectError"}]


@pytest.mark.parametrize(
    "invalid_fields",
    [
        {"amount": -1},
        {"amount": "12"},
        {"currency": "usd"},
        {"callback_url": "file:///etc/passwd"},
        {"outcome": "steal"},
        {"tip": 1},
    ],
)
def test_invalid_checkout_is_rejected(
    http: httpx.Client, callback_receiver: CallbackReceiver, bank: str, invalid_fields: dict[str, object]
) -> None:
    assert checkout(http, bank, callback_receiver, **invalid_fields).status_code == 400
    assert http.get(f"/bank/{bank}/ledger").json() == []


def test_checkout_page_pays_and_rejects_cross_site_request(
    http: httpx.Client, callback_receiver: CallbackReceiver, bank: str
) -> None:
    query = {"order_id": '"><script>x', "amount": "500", "currency": "USD", "callback_url": callback_receiver.url}
    page = http.get(f"/checkout/{bank}", params=query)
    assert "<script" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    form = query | {"order_id": "order-7", "outcome": "pay"}
    response = http.post(f"/checkout/{bank}", data=form, follow_redirects=True)
    assert response.status_code == 200
    assert "5.00 USD captured" in response.text
    assert "<strong>200</strong>" in response.text
    assert len(callback_receiver.received) == 1
    cross_site = http.post(f"/checkout/{bank}", data=form, headers={"sec-fetch-site": "cross-site"})
    assert cross_site.status_code == 403


def refund(http: httpx.Client, sandbox: Sandbox, bank: str, secret: str | None = None, **body: object) -> int:
    content = json.dumps(body).encode()
    return http.post(f"/bank/{bank}/refunds", content=content, headers=sandbox.sign(content, secret=secret)).status_code


def test_refund_is_idempotent_and_capped(
    http: httpx.Client, sandbox: Sandbox, callback_receiver: CallbackReceiver, bank: str
) -> None:
    payment = checkout(http, bank, callback_receiver).json()["payment_id"]
    refund_request: dict[str, object] = {"refund_id": "r1", "payment_id": payment, "amount": 1000, "currency": "USD"}
    assert refund(http, sandbox, bank, generate_secret(), **refund_request) == 401
    assert http.post(f"/bank/{bank}/refunds", json=refund_request).status_code == 401
    assert [refund(http, sandbox, bank, **refund_request) for _ in range(3)] == [200] * 3
    assert refund(http, sandbox, bank, **refund_request | {"amount": 999}) == 409
    assert refund(http, sandbox, bank, **refund_request | {"refund_id": "r2"}) == 422
    assert refund(http, sandbox, bank, **refund_request | {"refund_id": "r2", "amount": 234, "currency": "EUR"}) == 422
    assert refund(http, sandbox, bank, **refund_request | {"refund_id": "r2", "payment_id": "pay_x"}) == 404
    assert refund(http, sandbox, "other", **refund_request | {"refund_id": "r2", "amount": 234}) == 404
    assert refund(http, sandbox, bank, **refund_request | {"refund_id": "r2", "amount": 234}) == 200
    [entry] = http.get(f"/bank/{bank}/ledger").json()
    assert entry["refunded"] == entry["captured"] == 1234


def test_bank_fault_determines_response_until_its_count_ends(
    http: httpx.Client, sandbox: Sandbox, callback_receiver: CallbackReceiver, bank: str
) -> None:
    payment = checkout(http, bank, callback_receiver).json()["payment_id"]
    refund_request = {"refund_id": "r1", "payment_id": payment, "amount": 1, "currency": "USD"}
    for mode, status in (("error", 503), ("refuse", 422), ("slow", 200)):
        assert http.put(f"/bank/{bank}/fault", json={"mode": mode, "count": 1}).status_code == 204
        assert refund(http, sandbox, bank, **refund_request) == status
    http.put(f"/bank/{bank}/fault", json={"mode": "error"})
    assert [refund(http, sandbox, bank, **refund_request) for _ in range(2)] == [503, 503]
    http.post(f"/bank/{bank}/fault", data={"mode": "none"})
    assert refund(http, sandbox, bank, **refund_request) == 200
    assert http.put(f"/bank/{bank}/fault", json={"mode": "explode"}).status_code == 400


def test_bank_signs_and_verifies_with_new_secret(
    http: httpx.Client, sandbox: Sandbox, callback_receiver: CallbackReceiver, bank: str
) -> None:
    secret = generate_secret()
    assert http.put(f"/bank/{bank}/secret", json={"webhook_secret": "whsec_"}).status_code == 400
    assert http.put(f"/bank/{bank}/secret", json={"webhook_secret": secret}).status_code == 204
    payment = checkout(http, bank, callback_receiver).json()["payment_id"]
    [(headers, body)] = callback_receiver.received
    Webhook(secret).verify(body, headers)
    refund_request = {"refund_id": "r1", "payment_id": payment, "amount": 1, "currency": "USD"}
    assert refund(http, sandbox, bank, **refund_request) == 401
    assert refund(http, sandbox, bank, secret, **refund_request) == 200


def encode_order(callback_receiver: CallbackReceiver, order_id: str = "order-1") -> bytes:
    items = [{"product_id": 1, "title": "Soup", "quantity": 2}]
    return json.dumps({"order_id": order_id, "items": items, "callback_url": callback_receiver.url}).encode()


def test_partner_accepts_order_once_and_sends_ready_callback(
    http: httpx.Client, sandbox: Sandbox, callback_receiver: CallbackReceiver, partner: int
) -> None:
    content = encode_order(callback_receiver)
    headers = sandbox.sign(content, webhook_id="call-1")
    for _ in range(2):
        assert http.post(f"/partner/{partner}/orders", content=content, headers=headers).status_code == 204
    forged_headers = sandbox.sign(content, webhook_id="call-2", secret=generate_secret())
    assert http.post(f"/partner/{partner}/orders", content=content, headers=forged_headers).status_code == 401
    calls = http.get(f"/kitchen/{partner}/orders").json()
    assert [(call["webhook_id"], call["times_received"], call["signature_valid"]) for call in calls] == [
        ("call-1", 2, True),
        ("call-2", 1, False),
    ]
    assert calls[0]["body"] == json.loads(content)
    assert "2 × Soup" in http.get(f"/kitchen/{partner}").text

    callback_receiver.responses = [(202, b"")]
    path = f"/kitchen/{partner}/orders/order-1/ready"
    assert http.post(path, json={"pickup_address": "5 Market Square"}).json() == {"status": 202, "body": None}
    [(callback_headers, body)] = callback_receiver.received
    assert Webhook(sandbox.secret).verify(body, callback_headers) == {
        "order_id": "order-1",
        "pickup_address": "5 Market Square",
    }
    assert http.post(path.replace("order-1", "order-2"), json={"pickup_address": "x"}).status_code == 404
    page = http.post(path, data={"pickup_address": "from the page"}, follow_redirects=True)
    assert "<strong>200</strong>" in page.text


def test_partner_accepts_repeated_cancellation(
    http: httpx.Client, sandbox: Sandbox, callback_receiver: CallbackReceiver, partner: int
) -> None:
    content = encode_order(callback_receiver)
    http.post(f"/partner/{partner}/orders", content=content, headers=sandbox.sign(content))
    path = f"/partner/{partner}/orders/order-1/cancellation"
    headers = sandbox.sign(b"{}", webhook_id="cancel-1")
    assert [http.post(path, content=b"{}", headers=headers).status_code for _ in range(2)] == [204, 204]
    calls = http.get(f"/kitchen/{partner}/orders").json()
    assert [call["kind"] for call in calls] == ["order", "cancellation"]
    assert "cancelled" in http.get(f"/kitchen/{partner}").text
    ready = http.post(f"/kitchen/{partner}/orders/order-1/ready", json={"pickup_address": "too late"})
    assert ready.json()["status"] == 200


def test_partner_fault_injection_expires_after_count(
    http: httpx.Client, sandbox: Sandbox, callback_receiver: CallbackReceiver, partner: int
) -> None:
    content = encode_order(callback_receiver)
    headers = sandbox.sign(content, webhook_id="call-1")
    http.put(f"/kitchen/{partner}/fault", json={"mode": "error", "count": 2})
    statuses = [http.post(f"/partner/{partner}/orders", content=content, headers=headers).status_code for _ in range(3)]
    assert statuses == [503, 503, 204]
    [call] = http.get(f"/kitchen/{partner}/orders").json()
    assert call["times_received"] == 3
    http.put(f"/kitchen/{partner}/fault", json={"mode": "slow"})
    with pytest.raises(httpx.ReadTimeout):
        http.post(f"/partner/{partner}/orders", content=content, headers=headers, timeout=0.1)
    assert http.put(f"/kitchen/{partner}/fault", json={"mode": "none"}).status_code == 204
