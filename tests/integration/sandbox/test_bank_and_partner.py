"""Banks and kitchens: what they send is signed, what they are sent must be, and nothing happens twice."""

import json
from uuid import uuid4

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from tests.integration.sandbox.conftest import Sandbox, Shop, new_secret


@pytest.fixture
def bank() -> str:
    return f"bank-{uuid4().hex[:8]}"


@pytest.fixture
def partner() -> int:
    return uuid4().int % 10**9 + 1


def checkout(http: httpx.Client, bank: str, shop: Shop, **changes: object) -> httpx.Response:
    body = {"order_id": "order-1", "amount": 1234, "currency": "USD", "callback_url": shop.url, "outcome": "pay"}
    return http.post(f"/checkout/{bank}", json=body | changes)


@pytest.mark.parametrize(
    ("outcome", "amount", "status", "captured", "times"),
    [
        ("pay", 1234, "succeeded", 1234, 1),
        ("fail", 1234, "failed", 0, 1),
        ("twice", 1234, "succeeded", 1234, 2),
        ("less", 1233, "succeeded", 1233, 1),
        ("more", 1235, "succeeded", 1235, 1),
    ],
)
def test_a_checkout_tells_the_shop(
    http: httpx.Client,
    sandbox: Sandbox,
    shop: Shop,
    bank: str,
    outcome: str,
    amount: int,
    status: str,
    captured: int,
    times: int,
) -> None:
    receipt = checkout(http, bank, shop, outcome=outcome).json()
    assert receipt["callbacks"] == [{"status": 200, "body": {"ok": True}}] * times
    assert len(shop.received) == times
    assert len({headers["webhook-id"] for headers, _ in shop.received}) == 1
    for headers, body in shop.received:
        callback = Webhook(sandbox.secret).verify(body, headers)
        assert callback == {
            "payment_id": receipt["payment_id"],
            "order_id": "order-1",
            "amount": amount,
            "currency": "USD",
            "status": status,
        }
    [entry] = http.get(f"/bank/{bank}/ledger").json()
    assert entry == {
        "payment_id": receipt["payment_id"],
        "order_id": "order-1",
        "captured": captured,
        "refunded": 0,
        "currency": "USD",
    }


def test_answers_are_told_as_they_are(http: httpx.Client, shop: Shop, bank: str) -> None:
    shop.answers = [(422, b'{"reason":"PAYMENT_INSUFFICIENT"}'), (503, b"away"), (202, b""), (302, b"")]
    told = [checkout(http, bank, shop).json()["callbacks"][0] for _ in range(4)]
    assert told == [
        {"status": 422, "body": {"reason": "PAYMENT_INSUFFICIENT"}},
        {"status": 503, "body": "away"},
        {"status": 202, "body": None},
        {"status": 302, "body": None},
    ]
    nobody = checkout(http, bank, shop, callback_url="http://127.0.0.1:9/").json()
    assert nobody["callbacks"] == [{"status": 0, "body": "ConnectError"}]


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": -1},
        {"amount": "12"},
        {"currency": "usd"},
        {"callback_url": "file:///etc/passwd"},
        {"outcome": "steal"},
        {"tip": 1},
    ],
)
def test_a_wrong_checkout_pays_nothing(http: httpx.Client, shop: Shop, bank: str, wrong: dict[str, object]) -> None:
    assert checkout(http, bank, shop, **wrong).status_code == 400
    assert http.get(f"/bank/{bank}/ledger").json() == []


def test_the_page_pays_by_hand(http: httpx.Client, shop: Shop, bank: str) -> None:
    query = {"order_id": '"><script>x', "amount": "500", "currency": "USD", "callback_url": shop.url}
    page = http.get(f"/checkout/{bank}", params=query)
    assert "<script" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    form = query | {"order_id": "order-7", "outcome": "pay"}
    done = http.post(f"/checkout/{bank}", data=form, follow_redirects=True)
    assert done.status_code == 200
    assert "5.00 USD captured" in done.text
    assert "<strong>200</strong>" in done.text
    assert len(shop.received) == 1
    foreign = http.post(f"/checkout/{bank}", data=form, headers={"sec-fetch-site": "cross-site"})
    assert foreign.status_code == 403


def refund(http: httpx.Client, sandbox: Sandbox, bank: str, secret: str | None = None, **body: object) -> int:
    content = json.dumps(body).encode()
    return http.post(
        f"/bank/{bank}/refunds", content=content, headers=sandbox.signed(content, secret=secret)
    ).status_code


def test_a_refund_happens_once_and_never_exceeds(http: httpx.Client, sandbox: Sandbox, shop: Shop, bank: str) -> None:
    payment = checkout(http, bank, shop).json()["payment_id"]
    asked: dict[str, object] = {"refund_id": "r1", "payment_id": payment, "amount": 1000, "currency": "USD"}
    assert refund(http, sandbox, bank, new_secret(), **asked) == 401
    assert http.post(f"/bank/{bank}/refunds", json=asked).status_code == 401
    assert [refund(http, sandbox, bank, **asked) for _ in range(3)] == [200] * 3
    assert refund(http, sandbox, bank, **asked | {"amount": 999}) == 409
    assert refund(http, sandbox, bank, **asked | {"refund_id": "r2"}) == 422
    assert refund(http, sandbox, bank, **asked | {"refund_id": "r2", "amount": 234, "currency": "EUR"}) == 422
    assert refund(http, sandbox, bank, **asked | {"refund_id": "r2", "payment_id": "pay_x"}) == 404
    assert refund(http, sandbox, "other", **asked | {"refund_id": "r2", "amount": 234}) == 404
    assert refund(http, sandbox, bank, **asked | {"refund_id": "r2", "amount": 234}) == 200
    [entry] = http.get(f"/bank/{bank}/ledger").json()
    assert entry["refunded"] == entry["captured"] == 1234


def test_a_bank_fails_as_told(http: httpx.Client, sandbox: Sandbox, shop: Shop, bank: str) -> None:
    payment = checkout(http, bank, shop).json()["payment_id"]
    asked = {"refund_id": "r1", "payment_id": payment, "amount": 1, "currency": "USD"}
    for mode, status in (("error", 503), ("refuse", 422), ("slow", 200)):
        assert http.put(f"/bank/{bank}/fault", json={"mode": mode, "count": 1}).status_code == 204
        assert refund(http, sandbox, bank, **asked) == status
    http.put(f"/bank/{bank}/fault", json={"mode": "error"})
    assert [refund(http, sandbox, bank, **asked) for _ in range(2)] == [503, 503]
    http.post(f"/bank/{bank}/fault", data={"mode": "none"})
    assert refund(http, sandbox, bank, **asked) == 200
    assert http.put(f"/bank/{bank}/fault", json={"mode": "explode"}).status_code == 400


def test_a_secret_changes_what_is_signed_and_believed(
    http: httpx.Client, sandbox: Sandbox, shop: Shop, bank: str
) -> None:
    secret = new_secret()
    assert http.put(f"/bank/{bank}/secret", json={"webhook_secret": "whsec_"}).status_code == 400
    assert http.put(f"/bank/{bank}/secret", json={"webhook_secret": secret}).status_code == 204
    payment = checkout(http, bank, shop).json()["payment_id"]
    [(headers, body)] = shop.received
    Webhook(secret).verify(body, headers)
    asked = {"refund_id": "r1", "payment_id": payment, "amount": 1, "currency": "USD"}
    assert refund(http, sandbox, bank, **asked) == 401
    assert refund(http, sandbox, bank, secret, **asked) == 200


def order(shop: Shop, order_id: str = "order-1") -> bytes:
    items = [{"product_id": 1, "title": "Soup", "quantity": 2}]
    return json.dumps({"order_id": order_id, "items": items, "callback_url": shop.url}).encode()


def test_a_kitchen_takes_an_order_once_and_tells_when_it_is_ready(
    http: httpx.Client, sandbox: Sandbox, shop: Shop, partner: int
) -> None:
    content = order(shop)
    headers = sandbox.signed(content, webhook_id="call-1")
    for _ in range(2):
        assert http.post(f"/partner/{partner}/orders", content=content, headers=headers).status_code == 204
    forged = sandbox.signed(content, webhook_id="call-2", secret=new_secret())
    assert http.post(f"/partner/{partner}/orders", content=content, headers=forged).status_code == 401
    calls = http.get(f"/kitchen/{partner}/orders").json()
    assert [(call["webhook_id"], call["times_received"], call["signature_valid"]) for call in calls] == [
        ("call-1", 2, True),
        ("call-2", 1, False),
    ]
    assert calls[0]["body"] == json.loads(content)
    assert "2 × Soup" in http.get(f"/kitchen/{partner}").text

    shop.answers = [(202, b"")]
    where = f"/kitchen/{partner}/orders/order-1/ready"
    assert http.post(where, json={"pickup_address": "5 Market Square"}).json() == {"status": 202, "body": None}
    [(told, body)] = shop.received
    assert Webhook(sandbox.secret).verify(body, told) == {"order_id": "order-1", "pickup_address": "5 Market Square"}
    assert http.post(where.replace("order-1", "order-2"), json={"pickup_address": "x"}).status_code == 404
    by_hand = http.post(where, data={"pickup_address": "by hand"}, follow_redirects=True)
    assert "<strong>200</strong>" in by_hand.text


def test_a_kitchen_takes_cancellations(http: httpx.Client, sandbox: Sandbox, shop: Shop, partner: int) -> None:
    content = order(shop)
    http.post(f"/partner/{partner}/orders", content=content, headers=sandbox.signed(content))
    where = f"/partner/{partner}/orders/order-1/cancellation"
    headers = sandbox.signed(b"{}", webhook_id="cancel-1")
    assert [http.post(where, content=b"{}", headers=headers).status_code for _ in range(2)] == [204, 204]
    calls = http.get(f"/kitchen/{partner}/orders").json()
    assert [call["kind"] for call in calls] == ["order", "cancellation"]
    assert "cancelled" in http.get(f"/kitchen/{partner}").text
    ready = http.post(f"/kitchen/{partner}/orders/order-1/ready", json={"pickup_address": "too late"})
    assert ready.json()["status"] == 200


def test_a_kitchen_fails_as_told_and_is_whole_again(
    http: httpx.Client, sandbox: Sandbox, shop: Shop, partner: int
) -> None:
    content = order(shop)
    headers = sandbox.signed(content, webhook_id="call-1")
    http.put(f"/kitchen/{partner}/fault", json={"mode": "error", "count": 2})
    statuses = [http.post(f"/partner/{partner}/orders", content=content, headers=headers).status_code for _ in range(3)]
    assert statuses == [503, 503, 204]
    [call] = http.get(f"/kitchen/{partner}/orders").json()
    assert call["times_received"] == 3
    http.put(f"/kitchen/{partner}/fault", json={"mode": "slow"})
    with pytest.raises(httpx.ReadTimeout):
        http.post(f"/partner/{partner}/orders", content=content, headers=headers, timeout=0.1)
    assert http.put(f"/kitchen/{partner}/fault", json={"mode": "none"}).status_code == 204
