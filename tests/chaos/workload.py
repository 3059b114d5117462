"""Orders as customers, banks, kitchens and deliverers drive them, each to its end, whatever happens meanwhile."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.chaos.client import FINAL_CALLBACK_STATUSES, ChaosClient, SignedInUser, StuckError

PRICES = {1: {1: 100, 2: 350, 3: 1500, 4: 500}, 2: {1: 120, 2: 350, 3: 1200, 4: 500}}
"""By partner and product, of the demo data."""

BANKS = ("visa", "km", "paypal")

PLAN_WEIGHTS = {
    "deliver": 34,
    "pay twice": 8,
    "pay more": 8,
    "pay less": 7,
    "fail to pay": 5,
    "pay again": 8,
    "leave": 5,
    "pay too late": 6,
    "regret": 7,
    "be refused": 4,
    "leave while paying": 5,
    "forget": 3,
}
"""What happens to orders, and how often as compared to the others."""

PAYMENT_OUTCOME_BY_PLAN = {"pay twice": "twice", "pay more": "more", "pay less": "less", "fail to pay": "fail"}

FINAL_ORDER_STATUSES = frozenset({"delivered", "cancelled", "expired"})


@dataclass
class OrderScenario:
    """One order to be: what is meant to happen, and what was answered on the way."""

    number: int
    plan: str
    sends_duplicates: bool
    """Whether everything that may be asked twice is."""
    customer: SignedInUser
    partner_id: int
    bank_id: str
    items: list[dict[str, int]]
    total_amount: int
    order_id: str = ""
    callback_url: str = ""
    order_ids: set[str] = field(default_factory=set)
    """What confirming one check has answered; more than one is one too many."""
    reported_statuses: set[str] = field(default_factory=set)
    """Statuses that the order was said to have reached."""
    callback_statuses: dict[str, int] = field(default_factory=dict)
    """By payment, what its bank was answered in the end."""
    failure: str = ""


def plan_scenarios(seed: int, count: int, customers: list[SignedInUser]) -> list[OrderScenario]:
    """So many lives to be; all that happens in them follows from the seed."""
    chance = random.Random(f"lives {seed}")  # noqa: S311 (what a seed makes, it makes again)
    return [_create_scenario(chance, number, chance.choice(customers)) for number in range(count)]


def _create_scenario(rng: random.Random, number: int, customer: SignedInUser) -> OrderScenario:
    partner = rng.choice(list(PRICES))
    products = rng.sample(list(PRICES[partner]), rng.randint(1, 3))
    items = [{"product_id": product, "quantity": rng.randint(1, 3)} for product in products]
    total = sum(PRICES[partner][item["product_id"]] * item["quantity"] for item in items)
    kind = rng.choices(list(PLAN_WEIGHTS), list(PLAN_WEIGHTS.values()))[0]
    return OrderScenario(number, kind, rng.random() < 0.4, customer, partner, rng.choice(BANKS), items, total)


class PartnerInboxes:
    """What partners were told, looked up at most twice a second however many ask."""

    def __init__(self, client: ChaosClient) -> None:
        self._client = client
        self._cache: dict[int, tuple[float, set[str]]] = {}

    async def has_order(self, partner_id: int, order_id: str) -> bool:
        """Whether the order has arrived."""
        at, seen = self._cache.get(partner_id, (0.0, set()))
        if order_id not in seen and time.monotonic() - at > 0.5:
            received = await self._client.sandbox_get(f"/kitchen/{partner_id}/orders")
            seen = {call["body"]["order_id"] for call in received if call["kind"] == "order"}
            self._cache[partner_id] = (time.monotonic(), seen)
        return order_id in seen


@dataclass
class WorkloadDriver:
    """Who takes part, beside the customers."""

    client: ChaosClient
    admin: SignedInUser
    deliverer: SignedInUser
    partner_inboxes: PartnerInboxes
    order_timeout_s: float
    """How long a life may take while the mesh is beaten."""

    async def run(self, scenario: OrderScenario) -> None:
        """One order, from the basket to its end; what cannot be is the life's `failure`."""
        try:
            async with asyncio.timeout(self.order_timeout_s):
                await self._confirm_order(scenario)
                await self._apply_plan(scenario)
                await self._complete_order(scenario)
        except (StuckError, TimeoutError, httpx.HTTPError) as error:
            scenario.failure = f"{type(error).__name__} {error}".strip()

    async def _confirm_order(self, scenario: OrderScenario) -> None:
        """A check that the cache has lost is made anew; one that became an order never is."""
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
            asked = [
                self.client.request_with_retry("POST", "/orders", scenario.customer, json=body, idempotency_key=key)
                for _ in range(1 + scenario.sends_duplicates)
            ]
            for answer in await asyncio.gather(*asked):
                if answer.status_code != httpx.codes.GONE:
                    confirmed = answer.raise_for_status().json()
                    scenario.order_ids.add(confirmed["order"]["id"])
                    scenario.callback_url = confirmed["payment"]["callback_url"]
        scenario.order_id = min(scenario.order_ids)

    async def _apply_plan(self, scenario: OrderScenario) -> None:
        match scenario.plan:
            case "pay again":
                await self._pay(scenario, "pay")
                await self._pay(scenario, "pay")
            case "leave":
                await self._cancel(scenario, scenario.customer)
            case "pay too late":
                await self._cancel(scenario, scenario.customer)
                await self._pay(scenario, "pay")
            case "regret":
                await self._pay(scenario, "pay")
                await self._cancel(scenario, scenario.customer)
            case "leave while paying":
                await asyncio.gather(self._pay(scenario, "pay"), self._cancel(scenario, scenario.customer))
            case plan_scenarios if plan_scenarios in PAYMENT_OUTCOME_BY_PLAN:
                await self._pay(scenario, PAYMENT_OUTCOME_BY_PLAN[plan_scenarios])

    async def _complete_order(self, scenario: OrderScenario) -> None:
        """Whatever is to be done next, by whoever is to do it, until nothing is."""
        while (order := await self._get_order(scenario))["status"] not in FINAL_ORDER_STATUSES:
            match order["status"]:
                case "pending" if "paid" in scenario.reported_statuses:
                    raise StuckError("the bank was told that the order is paid, and it is not")
                case "pending" if scenario.plan != "forget":
                    await self._pay(scenario, "pay")
                case "paid" if await self.partner_inboxes.has_order(scenario.partner_id, scenario.order_id):
                    await self._report_ready(scenario)
                case "ready" if scenario.plan == "be refused":
                    await self._cancel(scenario, self.admin)
                case "ready":
                    await self._advance(scenario, "assignment", "delivering")
                case "delivering":
                    await self._advance(scenario, "delivery", "delivered")
            await asyncio.sleep(0.2)

    async def _get_order(self, scenario: OrderScenario) -> dict[str, Any]:
        answer = await self.client.request_with_retry("GET", f"/orders/{scenario.order_id}", scenario.customer)
        found: dict[str, Any] = answer.raise_for_status().json()
        return found

    async def _pay(self, scenario: OrderScenario, outcome: str) -> None:
        """One payment; the bank goes on telling of it until it is answered for good."""
        body = {
            "order_id": scenario.order_id,
            "amount": scenario.total_amount,
            "currency": "USD",
            "callback_url": scenario.callback_url,
        }
        path = f"/checkout/{scenario.bank_id}"
        try:
            receipt = (
                (await self.client.sandbox_request("POST", path, {**body, "outcome": outcome}))
                .raise_for_status()
                .json()
            )
        except httpx.TimeoutException:
            receipt = {"payment_id": "", "callbacks": []}
        answered: dict[str, int] = {}
        if final := {callback["status"] for callback in receipt["callbacks"]} & FINAL_CALLBACK_STATUSES:
            answered[receipt["payment_id"]] = min(final)
        for entry in await self.client.sandbox_get(f"/bank/{scenario.bank_id}/ledger"):
            payment_id = entry["payment_id"]
            if entry["order_id"] == scenario.order_id and payment_id not in scenario.callback_statuses | answered:
                paid, amount = bool(entry["captured"]), entry["captured"] or scenario.total_amount
                answered[payment_id] = await self.client.repeat_callback(
                    scenario.bank_id, payment_id, scenario.order_id, amount, paid=paid
                )
        scenario.callback_statuses |= answered
        if outcome not in ("fail", "less") and 200 in answered.values():
            scenario.reported_statuses.add("paid")

    async def _cancel(self, scenario: OrderScenario, user: SignedInUser) -> None:
        answer = await self.client.request_with_retry(
            "POST", f"/orders/{scenario.order_id}/cancel", user, json={"reason": scenario.plan}
        )
        if answer.status_code == httpx.codes.OK:
            scenario.reported_statuses.add("cancelled")
        elif answer.status_code != httpx.codes.CONFLICT:
            answer.raise_for_status()

    async def _report_ready(self, scenario: OrderScenario) -> None:
        path = f"/kitchen/{scenario.partner_id}/orders/{scenario.order_id}/ready"
        for _ in range(1 + scenario.sends_duplicates):
            try:
                await self.client.sandbox_request("POST", path, {"pickup_address": "1 Market Square"})
            except httpx.TimeoutException:
                continue

    async def _advance(self, scenario: OrderScenario, action: str, status: str) -> None:
        path = f"/orders/{scenario.order_id}/{action}"
        asked: list[Callable[[], Any]] = [lambda: self.client.request_with_retry("POST", path, self.deliverer)] * (
            1 + scenario.sends_duplicates
        )
        for answer in await asyncio.gather(*(ask() for ask in asked)):
            if answer.status_code == httpx.codes.OK:
                scenario.reported_statuses.add(status)
            elif answer.status_code != httpx.codes.CONFLICT:
                answer.raise_for_status()
