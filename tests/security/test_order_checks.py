"""Order checks whose partner or product is no longer available at the confirmation."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from deploy.local.demo import scenarios

type Withdraw = Callable[[httpx.Client, int, int], httpx.Response]


@pytest.fixture
def sign_in(edge: httpx.Client) -> Iterator[Callable[[str], httpx.Client]]:
    """Return a function that returns a client with the token of a demo account of the role."""
    clients: list[httpx.Client] = []

    def create_client(role: str) -> httpx.Client:
        body = {"email": f"{role}@delivery.test", "password": scenarios.DEMO_PASSWORD}
        token = edge.post("/sessions", json=body).raise_for_status().json()["access_token"]
        headers = {"authorization": f"Bearer {token}"}
        clients.append(httpx.Client(base_url=edge.base_url, headers=headers, timeout=20, trust_env=False))
        return clients[-1]

    yield create_client
    for client in clients:
        client.close()


def create_offer(admin: httpx.Client) -> tuple[int, int]:
    """Create an open partner that sells one product for 500. Return their ids."""
    partner: dict[str, Any] = {
        "title": "South Kitchen",
        "brand": "South",
        "phone": "+12025550156",
        "email": "south@delivery.test",
        "address": "9 Hill Road",
        "api_url": "https://kitchen.example/api",
        "verified": True,
    }
    partner_id = admin.post("/partners", json=partner).raise_for_status().json()["id"]
    product = {"title": "Leek soup", "description": "With thyme."}
    product_id = admin.post("/products", json=product).raise_for_status().json()["id"]
    offer = {"price": 500, "currency": "USD", "active": True}
    admin.put(f"/partners/{partner_id}/products/{product_id}", json=offer).raise_for_status()
    return partner_id, product_id


@pytest.mark.parametrize(
    ("withdraw", "reason"),
    [
        (lambda admin, partner, _: admin.delete(f"/partners/{partner}"), "PARTNER_UNAVAILABLE"),
        (
            lambda admin, partner, product: admin.delete(f"/partners/{partner}/products/{product}"),
            "PRODUCT_UNAVAILABLE",
        ),
    ],
    ids=["disabled_partner", "withdrawn_product"],
)
def test_order_is_not_created_after_the_end_of_its_offer(
    sign_in: Callable[[str], httpx.Client], withdraw: Withdraw, reason: str
) -> None:
    admin, customer = sign_in("admin"), sign_in("customer")
    partner, product = create_offer(admin)
    basket = scenarios.BASKET | {
        "partner_id": partner,
        "items": [{"product_id": product, "quantity": 1}],
        "total_amount": 500,
    }
    first, second = (customer.post("/order-checks", json=basket).raise_for_status().json() for _ in range(2))
    confirmed = customer.post("/orders", json={"check_id": first["check_id"]}).raise_for_status().json()
    withdraw(admin, partner, product).raise_for_status()
    rejected = customer.post("/orders", json={"check_id": second["check_id"]})
    assert (rejected.status_code, rejected.json()["reason"]) == (422, reason)
    repeated = customer.post("/orders", json={"check_id": first["check_id"]})
    assert (repeated.status_code, repeated.json()["order"]["id"]) == (201, confirmed["order"]["id"])
