"""Partners, products and prices through the edge, from registration to an order that the kitchen has."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.test_error_responses import problem
from tests.users import wait_until

type Bearer = Callable[[str], dict[str, str]]

PARTNER = {
    "title": "North Kitchen",
    "brand": "North",
    "phone": "+12025550155",
    "email": "north@delivery.test",
    "address": "7 Hill Road",
    "api_url": "https://kitchen.example/api",
}
PRODUCT = {"title": "Pea soup", "description": "With mint."}


@pytest.fixture
def admin(edge: httpx.Client, bearer: Bearer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=edge.base_url, headers=bearer("admin"), timeout=20, trust_env=False) as client:
        yield client


@pytest.fixture
def customer(edge: httpx.Client, bearer: Bearer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=edge.base_url, headers=bearer("customer"), timeout=20, trust_env=False) as client:
        yield client


@pytest.fixture
def partner(admin: httpx.Client) -> dict[str, Any]:
    made: dict[str, Any] = admin.post("/partners", json=PARTNER | {"verified": True}).raise_for_status().json()
    return made


@pytest.fixture
def product(admin: httpx.Client) -> dict[str, Any]:
    made: dict[str, Any] = admin.post("/products", json=PRODUCT).raise_for_status().json()
    return made


def test_a_partner_is_registered_read_changed_and_switched_off(admin: httpx.Client) -> None:
    made = admin.post("/partners", json=PARTNER, headers={"idempotency-key": "north-1"})
    assert made.status_code == 201, made.text
    secret = made.json()["webhook_secret"]
    assert secret.startswith("whsec_")
    partner = {name: value for name, value in made.json().items() if name != "webhook_secret"}
    assert partner == PARTNER | {"id": partner["id"], "verified": False, "enabled": True}
    again = admin.post("/partners", json=PARTNER, headers={"idempotency-key": "north-1"})
    assert (again.status_code, again.json(), again.headers["idempotency-replayed"]) == (201, partner, "true")
    path = f"/partners/{partner['id']}"
    assert made.headers["location"] == f"/api/v1{path}"

    read = admin.get(path)
    assert (read.json(), read.headers["etag"]) == (partner, made.headers["etag"])
    assert secret not in read.text
    assert admin.get(path, headers={"if-none-match": read.headers["etag"]}).status_code == 304
    changed = admin.patch(path, json={"verified": True}, headers={"if-match": read.headers["etag"]})
    assert changed.json() == partner | {"verified": True}
    stale = admin.patch(path, json={"title": "South"}, headers={"if-match": read.headers["etag"]})
    problem(stale, 412, "PRECONDITION_FAILED")
    problem(admin.patch(path, json={"title": None}), 400, "INVALID_REQUEST")
    assert admin.delete(path).status_code == 204
    assert admin.get(path).json()["enabled"] is False
    rotated = admin.post(f"{path}/secret").json()["webhook_secret"]
    assert rotated.startswith("whsec_")
    assert rotated != secret
    assert partner["id"] in [one["id"] for one in pages(admin, "/partners")]


def pages(client: httpx.Client, path: str, **query: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    token: dict[str, str] = {}
    while True:
        page = client.get(path, params={"page_size": 2} | query | token).raise_for_status().json()
        items += page["items"]
        if "next_page_token" not in page:
            return items
        token = {"page_token": page["next_page_token"]}


def test_a_product_is_added_changed_sold_and_deleted(
    admin: httpx.Client, customer: httpx.Client, partner: dict[str, Any]
) -> None:
    made = admin.post("/products", json=PRODUCT | {"picture_url": "https://pictures.example/1.png"})
    assert made.status_code == 201, made.text
    product = made.json()
    path = f"/products/{product['id']}"
    assert made.headers["location"] == f"/api/v1{path}"
    bare = admin.patch(path, json={"picture_url": None}, headers={"if-match": made.headers["etag"]})
    assert bare.json() == PRODUCT | {"id": product["id"]}
    problem(
        admin.patch(path, json={"title": "x"}, headers={"if-match": made.headers["etag"]}), 412, "PRECONDITION_FAILED"
    )

    sold = f"/partners/{partner['id']}/products/{product['id']}"
    set_ = admin.put(sold, json={"price": 425})
    assert (set_.status_code, set_.json()) == (200, {"price": 425, "currency": "USD", "active": True})
    listing = f"/catalog/{partner['id']}/products"
    shown = pages(customer, listing)
    assert shown == [PRODUCT | {"id": product["id"], "price": 425, "currency": "USD"}]
    assert admin.delete(sold).status_code == 204
    problem(admin.delete(sold), 404, "PRODUCT_NOT_FOUND")
    assert pages(admin, listing) == []
    assert admin.delete(path).status_code == 204
    problem(admin.get(path), 404, "PRODUCT_NOT_FOUND")
    assert product["id"] not in [one["id"] for one in pages(admin, "/products")]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/partners", None),
        ("POST", "/partners", PARTNER),
        ("GET", "/partners/1", None),
        ("PATCH", "/partners/1", {"title": "x"}),
        ("DELETE", "/partners/1", None),
        ("POST", "/partners/1/secret", None),
        ("PUT", "/partners/1/products/1", {"price": 1}),
        ("DELETE", "/partners/1/products/1", None),
        ("GET", "/products", None),
        ("POST", "/products", PRODUCT),
        ("PATCH", "/products/1", {"title": "x"}),
        ("DELETE", "/products/1", None),
        ("GET", "/partner-calls", None),
        ("POST", "/partner-calls/x/replay", None),
    ],
)
def test_only_admins_come_through(edge: httpx.Client, bearer: Bearer, method: str, path: str, body: Any) -> None:
    problem(edge.request(method, path, json=body), 401, "UNAUTHENTICATED")
    for role in ("customer", "deliverer"):
        problem(edge.request(method, path, json=body, headers=bearer(role)), 403, "FORBIDDEN")


@pytest.mark.parametrize(
    "wrong",
    [
        {"api_url": "ftp://kitchen.example"},
        {"api_url": "https://user@kitchen.example"},
        {"api_url": "https://kitchen.example/?a=b"},
        {"phone": "12"},
        {"title": ""},
        {"webhook_secret": "whsec_AAAA"},
    ],
)
def test_a_partner_that_is_not_per_the_contract_is_refused(admin: httpx.Client, wrong: dict[str, str]) -> None:
    problem(admin.post("/partners", json=PARTNER | wrong), 400, "INVALID_REQUEST")


def test_an_order_is_told_to_a_new_partner_and_the_call_can_be_seen_and_made_again(
    admin: httpx.Client,
    customer: httpx.Client,
    sandbox: httpx.Client,
    partner: dict[str, Any],
    product: dict[str, Any],
) -> None:
    number = partner["id"]
    kitchen = f"{sandbox.base_url}".rstrip("/")
    admin.patch(f"/partners/{number}", json={"api_url": f"{kitchen}/partner/{number}"}).raise_for_status()
    assert sandbox.put(f"/kitchen/{number}/secret", json={"webhook_secret": partner["webhook_secret"]}).is_success
    admin.put(f"/partners/{number}/products/{product['id']}", json={"price": 425}).raise_for_status()
    assert sandbox.put(f"/kitchen/{number}/fault", json={"mode": "lie", "count": 1}).is_success

    basket = {
        "partner_id": number,
        "items": [{"product_id": product["id"], "quantity": 2}],
        "total_amount": 850,
        "bank_id": "visa",
        "delivery_address": "1 Long Street",
    }
    check = customer.post("/order-checks", json=basket).raise_for_status().json()
    confirmed = customer.post("/orders", json={"check_id": check["check_id"]}).raise_for_status().json()
    order_id = confirmed["order"]["id"]
    paying = {
        "order_id": order_id,
        "amount": 850,
        "currency": "USD",
        "callback_url": confirmed["payment"]["callback_url"],
        "outcome": "pay",
    }
    sandbox.post("/checkout/visa", json=paying).raise_for_status()

    def calls() -> list[dict[str, Any]]:
        return pages(admin, "/partner-calls", order_id=order_id)

    # The kitchen lies once; the second try comes five seconds later.
    wait_until("it is delivered", lambda: [call["status"] for call in calls()] == ["delivered"])
    [call] = calls()
    assert [one["answer"] for one in call["tries"]] == ["200, not by the contract", "204"]
    assert (call["partner_id"], call["kind"], call["attempts"]) == (number, "order", 2)
    assert admin.post(f"/partner-calls/{call['id']}/replay").status_code == 202

    def heard() -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = sandbox.get(f"/kitchen/{number}/orders").json()
        return told

    wait_until("it is sent again", lambda: heard()[0]["times_received"] == 3)
    assert [one["webhook_id"] for one in heard()] == [call["id"]]

    customer.post(f"/orders/{order_id}/cancel", json={"reason": "Too late."}).raise_for_status()
    wait_until(
        "the cancellation arrives",
        lambda: [call["kind"] for call in calls() if call["status"] == "delivered"] == ["cancellation", "order"],
    )
    assert heard()[-1]["body"] == {"order_id": order_id, "reason": "Too late."}
    problem(admin.post(f"/partner-calls/{call['id']}/replay"), 409, "PARTNER_CALL_CONFLICT")
