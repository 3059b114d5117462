"""Orders that browser tests place through the API, so that their pages begin with a given status."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from deploy.local.demo.scenarios import BASKET
from tests.users import User
from tests.wait import wait_until

COORDINATES = {"latitude": 39.78, "longitude": -89.65}


@dataclass(frozen=True)
class PlacedOrder:
    """An order at the demo partner with an address of its own, which finds it in lists."""

    edge: httpx.Client
    sandbox: httpx.Client
    customer: User
    order: dict[str, Any]
    payment: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.order["id"])

    @property
    def delivery_address(self) -> str:
        return str(self.order["delivery_address"])

    def pay(self) -> None:
        """Pay at the bank, and wait until the kitchen has the order."""
        body = {
            "order_id": self.id,
            "amount": self.order["total_amount"],
            "currency": self.order["currency"],
            "callback_url": self.payment["callback_url"],
            "outcome": "pay",
        }
        self.sandbox.post(f"/checkout/{BASKET['bank_id']}", json=body).raise_for_status()
        kitchen = f"/kitchen/{BASKET['partner_id']}/orders"
        wait_until(
            lambda: any(each["body"]["order_id"] == self.id for each in self.sandbox.get(kitchen).json()),
            description="the kitchen has the order",
        )

    def report_ready(self) -> None:
        """Report from the kitchen that the order is ready, and wait until it is."""
        path = f"/kitchen/{BASKET['partner_id']}/orders/{self.id}/ready"
        self.sandbox.post(path, json={"pickup_address": "1 Market Square"}).raise_for_status()
        wait_until(lambda: self.read()["status"] == "ready", description="the order is ready")

    def read(self) -> dict[str, Any]:
        """Return the order as the customer receives it."""
        order: dict[str, Any] = self.customer.request("GET", f"/orders/{self.id}").raise_for_status().json()
        return order

    @contextmanager
    def watch_positions(self) -> Iterator[Iterator[Any]]:
        """Yield the positions of the courier as the customer receives them."""
        headers = {"authorization": f"Bearer {self.customer.session['access_token']}"}
        with self.edge.stream("GET", f"/orders/{self.id}/events", headers=headers) as stream:
            events = (
                json.loads(line.removeprefix("data: ")) for line in stream.iter_lines() if line.startswith("data:")
            )
            yield (event["deliverer_position"] for event in events if "deliverer_position" in event)


def place_order(edge: httpx.Client, sandbox: httpx.Client) -> PlacedOrder:
    """Place a pending order of a new customer."""
    customer = User(edge, sandbox, locale="en").sign_in()
    address = {"street": f"{secrets.token_hex(3)} Long Street", "city": "Springfield", "country": "US"}
    body = BASKET | {
        "delivery_address": f"{address['street']}, Springfield",
        "address": address | {"coordinates": COORDINATES},
        "customer_name": "Ada Byron",
        "customer_phone": "+12025550123",
    }
    check = customer.request("POST", "/order-checks", json=body).raise_for_status().json()
    confirmed = customer.request("POST", "/orders", json={"check_id": check["check_id"]}).raise_for_status().json()
    return PlacedOrder(edge, sandbox, customer, confirmed["order"], confirmed["payment"])
