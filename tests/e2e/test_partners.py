"""Partners, products and prices through the edge, from creation to an order received by the partner system."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from deploy.local.demo import scenarios
from tests.e2e.test_error_responses import assert_problem
from tests.wait import wait_until

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
    partner: dict[str, Any] = admin.post("/partners", json=PARTNER | {"verified": True}).raise_for_status().json()
    return partner


@pytest.fixture
def product(admin: httpx.Client) -> dict[str, Any]:
    product: dict[str, Any] = admin.post("/products", json=PRODUCT).raise_for_status().json()
    return product


def test_partner_is_created_read_updated_and_disabled(admin: httpx.Client) -> None:
    created = admin.post("/partners", json=PARTNER, headers={"idempotency-key": "north-1"})
    assert created.status_code == 201, created.text
    secret = created.json()["webhook_secret"]
    assert secret.startswith("whsec_")
    partner = {name: value for name, value in created.json().items() if name != "webhook_secret"}
    defaults = {"verified": False, "enabled": True, "delivery_fee": 0, "delivery_fee_currency": "USD"}
    assert partner == PARTNER | defaults | {"id": partner["id"]}
    replayed = admin.post("/partners", json=PARTNER, headers={"idempotency-key": "north-1"})
    assert (replayed.status_code, replayed.json(), replayed.headers["idempotency-replayed"]) == (201, partner, "true")
    path = f"/partners/{partner['id']}"
    assert created.headers["location"] == f"/api/v1{path}"

    read = admin.get(path)
    assert (read.json(), read.headers["etag"]) == (partner, created.headers["etag"])
    assert secret not in read.text
    assert admin.get(path, headers={"if-none-match": read.headers["etag"]}).status_code == 304
    changed = admin.patch(path, json={"verified": True}, headers={"if-match": f'"zzz", {read.headers["etag"]}'})
    assert changed.json() == partner | {"verified": True}
    stale = admin.patch(path, json={"title": "South"}, headers={"if-match": read.headers["etag"]})
    assert_problem(stale, 412, "PRECONDITION_FAILED")
    assert_problem(admin.patch(path, json={"title": None}), 400, "INVALID_REQUEST")
    assert admin.delete(path).status_code == 204
    assert admin.get(path).json()["enabled"] is False
    rotated = admin.post(f"{path}/secret").json()["webhook_secret"]
    assert rotated.startswith("whsec_")
    assert rotated != secret
    assert partner["id"] in [entry["id"] for entry in list_all(admin, "/partners")]


def list_all(client: httpx.Client, path: str, **query: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    token: dict[str, str] = {}
    while True:
        page = client.get(path, params={"page_size": 2} | query | token).raise_for_status().json()
        items += page["items"]
        if "next_page_token" not in page:
            return items
        token = {"page_token": page["next_page_token"]}


def test_product_is_created_updated_sold_and_deleted(
    admin: httpx.Client, customer: httpx.Client, partner: dict[str, Any]
) -> None:
    created = admin.post("/products", json=PRODUCT | {"picture_url": "https://pictures.example/1.png"})
    assert created.status_code == 201, created.text
    product = created.json()
    path = f"/products/{product['id']}"
    assert created.headers["location"] == f"/api/v1{path}"
    without_picture = admin.patch(
        path, json={"picture_url": None}, headers={"if-match": f'{created.headers["etag"]},"9"'}
    )
    assert without_picture.json() == PRODUCT | {"id": product["id"]}
    assert_problem(
        admin.patch(path, json={"title": "x"}, headers={"if-match": created.headers["etag"]}),
        412,
        "PRECONDITION_FAILED",
    )

    availability_path = f"/partners/{partner['id']}/products/{product['id']}"
    response = admin.put(availability_path, json={"price": 425})
    assert (response.status_code, response.json()) == (200, {"price": 425, "currency": "USD", "active": True})
    listing = f"/catalog/{partner['id']}/products"
    products = list_all(customer, listing)
    assert products == [PRODUCT | {"id": product["id"], "price": 425, "currency": "USD"}]
    assert admin.delete(availability_path).status_code == 204
    assert_problem(admin.delete(availability_path), 404, "PRODUCT_NOT_FOUND")
    assert list_all(admin, listing) == []
    assert admin.delete(path).status_code == 204
    assert_problem(admin.get(path), 404, "PRODUCT_NOT_FOUND")
    assert product["id"] not in [entry["id"] for entry in list_all(admin, "/products")]


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer nonsense"}], ids=["absent", "invalid"])
def test_catalog_is_the_same_without_token(edge: httpx.Client, customer: httpx.Client, headers: dict[str, str]) -> None:
    for path in ("/catalog?partner_id=1", "/catalog/1/products"):
        response = edge.get(path, headers=headers)
        assert (response.status_code, response.json()) == (200, customer.get(path).json())
        assert response.json()["items"]
    assert_problem(edge.get("/catalog/9000000/products", headers=headers), 404, "PARTNER_NOT_FOUND")
    assert_problem(edge.post("/order-checks", json=scenarios.BASKET, headers=headers), 401, "UNAUTHENTICATED")
    assert_problem(edge.post("/partners", json=PARTNER, headers=headers), 401, "UNAUTHENTICATED")


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
def test_partners_require_admin(edge: httpx.Client, bearer: Bearer, method: str, path: str, body: Any) -> None:
    assert_problem(edge.request(method, path, json=body), 401, "UNAUTHENTICATED")
    for role in ("customer", "deliverer"):
        assert_problem(edge.request(method, path, json=body, headers=bearer(role)), 403, "FORBIDDEN")


@pytest.mark.parametrize(
    "invalid_fields",
    [
        {"api_url": "ftp://kitchen.example"},
        {"api_url": "https://user@kitchen.example"},
        {"api_url": "https://kitchen.example/?a=b"},
        {"api_url": "https://kitchen.example:99999"},
        {"api_url": "https://xn--a/x"},
        {"phone": "12"},
        {"title": ""},
        {"webhook_secret": "whsec_AAAA"},
    ],
)
def test_invalid_partner_is_rejected(admin: httpx.Client, invalid_fields: dict[str, str]) -> None:
    assert_problem(admin.post("/partners", json=PARTNER | invalid_fields), 400, "INVALID_REQUEST")


def test_partner_call_is_retried_listed_replayed_and_cancelled(
    admin: httpx.Client,
    customer: httpx.Client,
    sandbox: httpx.Client,
    partner: dict[str, Any],
    product: dict[str, Any],
) -> None:
    partner_id = partner["id"]
    sandbox_url = f"{sandbox.base_url}".rstrip("/")
    admin.patch(f"/partners/{partner_id}", json={"api_url": f"{sandbox_url}/partner/{partner_id}"}).raise_for_status()
    assert sandbox.put(f"/kitchen/{partner_id}/secret", json={"webhook_secret": partner["webhook_secret"]}).is_success
    admin.put(f"/partners/{partner_id}/products/{product['id']}", json={"price": 425}).raise_for_status()
    assert sandbox.put(f"/kitchen/{partner_id}/fault", json={"mode": "invalid_response", "count": 1}).is_success

    basket = {
        "partner_id": partner_id,
        "items": [{"product_id": product["id"], "quantity": 2}],
        "total_amount": 850,
        "bank_id": "visa",
        "delivery_address": "1 Long Street",
    }
    check = customer.post("/order-checks", json=basket).raise_for_status().json()
    confirmed = customer.post("/orders", json={"check_id": check["check_id"]}).raise_for_status().json()
    order_id = confirmed["order"]["id"]
    checkout = {
        "order_id": order_id,
        "amount": 850,
        "currency": "USD",
        "callback_url": confirmed["payment"]["callback_url"],
        "outcome": "pay",
    }
    sandbox.post("/checkout/visa", json=checkout).raise_for_status()

    def list_calls() -> list[dict[str, Any]]:
        return list_all(admin, "/partner-calls", order_id=order_id)

    # The first response is invalid; the second attempt is made five seconds later.
    wait_until(lambda: [call["status"] for call in list_calls()] == ["delivered"], description="the call is delivered")
    [call] = list_calls()
    assert [attempt["answer"] for attempt in call["tries"]] == ["200: response violates the contract", "204"]
    assert (call["partner_id"], call["kind"], call["attempts"]) == (partner_id, "order", 2)
    assert admin.post(f"/partner-calls/{call['id']}/replay").status_code == 202

    def list_received_calls() -> list[dict[str, Any]]:
        received_calls: list[dict[str, Any]] = sandbox.get(f"/kitchen/{partner_id}/orders").json()
        return received_calls

    wait_until(lambda: list_received_calls()[0]["times_received"] == 3, description="the call is sent again")
    assert [received_call["webhook_id"] for received_call in list_received_calls()] == [call["id"]]

    customer.post(f"/orders/{order_id}/cancel", json={"reason": "Too late."}).raise_for_status()
    wait_until(
        lambda: [call["kind"] for call in list_calls() if call["status"] == "delivered"] == ["cancellation", "order"],
        description="the cancellation arrives",
    )
    assert list_received_calls()[-1]["body"] == {"order_id": order_id, "reason": "Too late."}
    assert_problem(admin.post(f"/partner-calls/{call['id']}/replay"), 409, "PARTNER_CALL_CONFLICT")
