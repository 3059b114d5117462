"""Steps of an order's life, as clients, a bank and a partner take them, at the mesh and at its baseline alike."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from bench.mesh import PARTNER_COUNT, build_basket

MAX_CONCURRENT = 8
"""Orders that take a step at the same time."""

KITCHEN = 1
"""Simulated partner system of all generated partners, which have the address of the first demo partner."""

KEEPALIVE_S = 1
"""The servers close idle connections after some seconds, so the client must close them earlier."""


@dataclass
class Order:
    """An order, with what the responses of earlier steps contain."""

    partner_index: int
    check_id: str = ""
    id: str = ""
    payment: Mapping[str, object] = field(default_factory=dict)


class LifeClient:
    """Clients of the API at `api_url`, and of the simulated bank and partners at `sandbox_url`."""

    def __init__(self, api_url: str, sandbox_url: str, tokens: Mapping[str, str]) -> None:
        limits = httpx.Limits(keepalive_expiry=KEEPALIVE_S)
        self._api = httpx.AsyncClient(base_url=f"{api_url}/api/v1", trust_env=False, timeout=30, limits=limits)
        self._sandbox = httpx.AsyncClient(base_url=sandbox_url, trust_env=False, timeout=30, limits=limits)
        self._headers = {role: {"Authorization": f"Bearer {token}"} for role, token in tokens.items()}

    async def close(self) -> None:
        """Close the connections."""
        await self._api.aclose()
        await self._sandbox.aclose()

    async def _request_api(self, method: str, path: str, role: str = "customer", **options: Any) -> Any:
        response = await self._api.request(method, path, headers=self._headers[role], **options)
        return response.raise_for_status().json()

    async def check(self, order: Order) -> None:
        """Check a basket."""
        check = await self._request_api("POST", "/order-checks", json=build_basket(order.partner_index))
        order.check_id = check["check_id"]

    async def confirm(self, order: Order) -> None:
        """Confirm the check, which creates the order."""
        confirmed = await self._request_api("POST", "/orders", json={"check_id": order.check_id})
        created = confirmed["order"]
        order.id = created["id"]
        order.payment = {
            "order_id": order.id,
            "amount": created["total_amount"],
            "currency": created["currency"],
            "callback_url": confirmed["payment"]["callback_url"],
            "outcome": "pay",
        }

    async def get(self, order: Order) -> None:
        """Request the order."""
        await self._request_api("GET", f"/orders/{order.id}")

    async def pay(self, order: Order) -> None:
        """Pay at the bank, which sends its callback. Raises ValueError if the callback is rejected."""
        response = await self._sandbox.post("/checkout/visa", json=order.payment)
        statuses = [callback["status"] for callback in response.raise_for_status().json()["callbacks"]]
        if statuses != [200]:
            raise ValueError(f"payment callbacks returned {statuses}")

    async def report_ready(self, order: Order) -> None:
        """Report the order as ready, as its partner. Raises ValueError if the callback is rejected."""
        path, body = f"/kitchen/{KITCHEN}/orders/{order.id}/ready", {"pickup_address": "1 Market Square"}
        response = await self._sandbox.post(path, json=body)
        if (status := response.raise_for_status().json()["status"]) != 202:
            raise ValueError(f"ready callback returned {status}")

    async def assign(self, order: Order) -> None:
        """Assign the order to the deliverer."""
        await self._request_api("POST", f"/orders/{order.id}/assignment", "deliverer")

    async def deliver(self, order: Order) -> None:
        """Complete the delivery."""
        await self._request_api("POST", f"/orders/{order.id}/delivery", "deliverer")


STEPS: Mapping[str, Callable[[LifeClient, Order], Awaitable[None]]] = {
    "check": LifeClient.check,
    "confirm": LifeClient.confirm,
    "get": LifeClient.get,
    "pay": LifeClient.pay,
    "ready": LifeClient.report_ready,
    "assign": LifeClient.assign,
    "deliver": LifeClient.deliver,
}
"""Steps by name, in the order of a life."""


def create_orders(count: int) -> list[Order]:
    """Return orders before their first step, at all partners in turn."""
    return [Order(number % PARTNER_COUNT) for number in range(count)]


def run_step(api_url: str, sandbox_url: str, tokens: Mapping[str, str], step: str, orders: Sequence[Order]) -> None:
    """Take a step with every order, some at a time."""

    async def run() -> None:
        client, semaphore = LifeClient(api_url, sandbox_url, tokens), asyncio.Semaphore(MAX_CONCURRENT)

        async def run_for_order(order: Order) -> None:
            async with semaphore:
                await STEPS[step](client, order)

        try:
            async with asyncio.TaskGroup() as tasks:
                for order in orders:
                    tasks.create_task(run_for_order(order))
        finally:
            await client.close()

    asyncio.run(run())
