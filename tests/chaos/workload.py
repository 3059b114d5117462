"""Workload of the chaos test: orders that are driven to a final status while faults are injected."""

import asyncio
import random
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.chaos.client import FINAL_CALLBACK_STATUSES, ChaosClient, SignedInUser, StuckError
from tests.wait import wait_until_async

PRICES = {1: {1: 100, 2: 350, 3: 1500, 4: 500}, 2: {1: 120, 2: 350, 3: 1200, 4: 500}}
"""Prices of the demo data by partner and product."""

BANKS = ("visa", "km", "paypal")

PLAN_WEIGHTS = {
    "deliver": 34,
    "pay twice": 8,
    "pay more": 8,
    "pay less": 7,
    "fail to pay": 5,
    "pay again": 8,
    "cancel": 5,
    "pay after cancelling": 6,
    "cancel after paying": 7,
    "cancel by admin": 4,
    "cancel while paying": 5,
    "never pay": 3,
}
"""Scenarios of orders with their relative frequency."""

PAYMENT_OUTCOME_BY_PLAN = {"pay twice": "twice", "pay more": "more", "pay less": "less", "fail to pay": "fail"}

FINAL_ORDER_STATUSES = frozenset({"delivered", "cancelled", "expired"})


@dataclass
class OrderScenario:
    """One order: its planned scenario, and the responses that its clients received."""

    number: int
    plan: str
    sends_duplicates: bool
    """True if every request that may be repeated is sent twice."""
    customer: SignedInUser
    partner_id: int
    bank_id: str
    items: list[dict[str, int]]
    total_amount: int
    order_id: str = ""
    callback_url: str = ""
    order_ids: set[str] = field(default_factory=set)
    """Orders returned for one check. More than one is a violation."""
    reported_statuses: set[str] = field(default_factory=set)
    """Statuses that a response has confirmed."""
    callback_statuses: dict[str, int] = field(default_factory=dict)
    """Final status code of the payment callback, by payment."""
    failure: str = ""


def plan_scenarios(
    seed: int, count: int, customers: list[SignedInUser], excluded_plans: Collection[str] = ()
) -> list[OrderScenario]:
    """Plan scenarios, derived from the seed."""
    rng = random.Random(f"workload {seed}")  # noqa: S311 (must be reproducible)
    weights = {plan: weight for plan, weight in PLAN_WEIGHTS.items() if plan not in excluded_plans}
    return [_create_scenario(rng, number, rng.choice(customers), weights) for number in range(count)]


def _create_scenario(
    rng: random.Random, number: int, customer: SignedInUser, weights: Mapping[str, int]
) -> OrderScenario:
    partner = rng.choice(list(PRICES))
    products = rng.sample(list(PRICES[partner]), rng.randint(1, 3))
    items = [{"product_id": product, "quantity": rng.randint(1, 3)} for product in products]
    total = sum(PRICES[partner][item["product_id"]] * item["quantity"] for item in items)
    plan = rng.choices(list(weights), list(weights.values()))[0]
    return OrderScenario(number, plan, rng.random() < 0.4, customer, partner, rng.choice(BANKS), items, total)


class PartnerInboxes:
    """Orders that partners have received, queried at most twice a second."""

    def __init__(self, client: ChaosClient) -> None:
        self._client = client
        self._cache: dict[int, tuple[float, set[str]]] = {}

    async def has_order(self, partner_id: int, order_id: str) -> bool:
        """Return whether the partner has received the order."""
        queried_at, order_ids = self._cache.get(partner_id, (0.0, set()))
        if order_id not in order_ids and time.monotonic() - queried_at > 0.5:
            received = await self._client.get_from_sandbox(f"/kitchen/{partner_id}/orders")
            order_ids = {call["body"]["order_id"] for call in received if call["kind"] == "order"}
            self._cache[partner_id] = (time.monotonic(), order_ids)
        return order_id in order_ids


@dataclass
class WorkloadDriver:
    """Drives orders as customer, bank, partner, deliverer and admin."""

    client: ChaosClient
    admin: SignedInUser
    deliverer: SignedInUser
    partner_inboxes: PartnerInboxes
    order_timeout_s: float
    """Timeout of one scenario while faults are injected."""

    async def run(self, scenario: OrderScenario) -> None:
        """Run a scenario from the basket to the final status. An error is stored as `failure`."""
        try:
            async with asyncio.timeout(self.order_timeout_s):
                await self._confirm_order(scenario)
                await self._apply_plan(scenario)
                await self._complete_order(scenario)
        except (StuckError, TimeoutError, httpx.HTTPError) as error:
            scenario.failure = f"{type(error).__name__} {error}".strip()

    async def _confirm_order(self, scenario: OrderScenario) -> None:
        """Check and confirm an order. A check that the cache has lost is repeated, unless it became an order."""
        basket = {
            "partner_id": scenario.partner_id,
            "items": scenario.items,
            "total_amount": scenario.total_amount,
            "bank_id": scenario.bank_id,
            "delivery_address": f"{scenario.number} Long Street",
        }
        while not scenario.order_ids:
            checked = (
                await self.client.request_with_retry("POST", "/order-checks", scenario.customer, json=basket)
            ).raise_for_status()
            body = {"check_id": checked.json()["check_id"]}
            key = f"confirm-{scenario.number}-{body['check_id']}"[:64] if scenario.sends_duplicates else ""
            requests = [
                self.client.request_with_retry("POST", "/orders", scenario.customer, json=body, idempotency_key=key)
                for _ in range(1 + scenario.sends_duplicates)
            ]
            for response in await asyncio.gather(*requests):
                if response.status_code != httpx.codes.GONE:
                    confirmed = response.raise_for_status().json()
                    scenario.order_ids.add(confirmed["order"]["id"])
                    scenario.callback_url = confirmed["payment"]["callback_url"]
        scenario.order_id = min(scenario.order_ids)

    async def _apply_plan(self, scenario: OrderScenario) -> None:
        match scenario.plan:
            case "pay again":
                await self._pay(scenario, "pay")
                await self._pay(scenario, "pay")
            case "cancel":
                await self._cancel(scenario, scenario.customer)
            case "pay after cancelling":
                await self._cancel(scenario, scenario.customer)
                await self._pay(scenario, "pay")
            case "cancel after paying":
                await self._pay(scenario, "pay")
                await self._cancel(scenario, scenario.customer)
            case "cancel while paying":
                await asyncio.gather(self._pay(scenario, "pay"), self._cancel(scenario, scenario.customer))
            case plan if plan in PAYMENT_OUTCOME_BY_PLAN:
                await self._pay(scenario, PAYMENT_OUTCOME_BY_PLAN[plan])

    async def _complete_order(self, scenario: OrderScenario) -> None:
        """Perform the next step of the order until its status is final."""

        async def perform_step() -> bool:
            match (await self._get_order(scenario))["status"]:
                case status if status in FINAL_ORDER_STATUSES:
                    return True
                case "pending" if "paid" in scenario.reported_statuses:
                    raise StuckError("the callback of the bank was accepted, but the order is pending")
                case "pending" if scenario.plan != "never pay":
                    await self._pay(scenario, "pay")
                case "paid" if await self.partner_inboxes.has_order(scenario.partner_id, scenario.order_id):
                    await self._report_ready(scenario)
                case "ready" if scenario.plan == "cancel by admin":
                    await self._cancel(scenario, self.admin)
                case "ready":
                    await self._advance(scenario, "assignment", "delivering")
                case "delivering":
                    await self._advance(scenario, "delivery", "delivered")
            return False

        await wait_until_async(perform_step, self.order_timeout_s, 0.2)

    async def _get_order(self, scenario: OrderScenario) -> dict[str, Any]:
        response = await self.client.request_with_retry("GET", f"/orders/{scenario.order_id}", scenario.customer)
        order: dict[str, Any] = response.raise_for_status().json()
        return order

    async def _pay(self, scenario: OrderScenario, outcome: str) -> None:
        """Pay, and repeat the callbacks of the bank until their status is final."""
        body = {
            "order_id": scenario.order_id,
            "amount": scenario.total_amount,
            "currency": "USD",
            "callback_url": scenario.callback_url,
        }
        path = f"/checkout/{scenario.bank_id}"
        try:
            receipt = (
                (await self.client.request_sandbox("POST", path, {**body, "outcome": outcome}))
                .raise_for_status()
                .json()
            )
        except httpx.TransportError:
            receipt = {"payment_id": "", "callbacks": []}
        final_statuses: dict[str, int] = {}
        if final := {callback["status"] for callback in receipt["callbacks"]} & FINAL_CALLBACK_STATUSES:
            final_statuses[receipt["payment_id"]] = min(final)
        for entry in await self.client.get_from_sandbox(f"/bank/{scenario.bank_id}/ledger"):
            payment_id = entry["payment_id"]
            if entry["order_id"] == scenario.order_id and payment_id not in scenario.callback_statuses | final_statuses:
                paid, amount = bool(entry["captured"]), entry["captured"] or scenario.total_amount
                final_statuses[payment_id] = await self.client.repeat_callback(
                    scenario.bank_id, payment_id, scenario.order_id, amount, paid=paid
                )
        scenario.callback_statuses |= final_statuses
        if outcome not in ("fail", "less") and 200 in final_statuses.values():
            scenario.reported_statuses.add("paid")

    async def _cancel(self, scenario: OrderScenario, user: SignedInUser) -> None:
        response = await self.client.request_with_retry(
            "POST", f"/orders/{scenario.order_id}/cancel", user, json={"reason": scenario.plan}
        )
        if response.status_code == httpx.codes.OK:
            scenario.reported_statuses.add("cancelled")
        elif response.status_code != httpx.codes.CONFLICT:
            response.raise_for_status()

    async def _report_ready(self, scenario: OrderScenario) -> None:
        path = f"/kitchen/{scenario.partner_id}/orders/{scenario.order_id}/ready"
        for _ in range(1 + scenario.sends_duplicates):
            try:
                await self.client.request_sandbox("POST", path, {"pickup_address": "1 Market Square"})
            except httpx.TransportError:
                continue

    async def _advance(self, scenario: OrderScenario, action: str, status: str) -> None:
        path = f"/orders/{scenario.order_id}/{action}"
        requests = [
            self.client.request_with_retry("POST", path, self.deliverer) for _ in range(1 + scenario.sends_duplicates)
        ]
        for response in await asyncio.gather(*requests):
            if response.status_code == httpx.codes.OK:
                scenario.reported_statuses.add(status)
            elif response.status_code != httpx.codes.CONFLICT:
                response.raise_for_status()
