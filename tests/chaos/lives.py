"""Orders as customers, banks, kitchens and deliverers drive them, each to its end, whatever happens meanwhile."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.chaos.doors import FINAL, Doors, Person, Stuck

PRICES = {1: {1: 100, 2: 350, 3: 1500, 4: 500}, 2: {1: 120, 2: 350, 3: 1200, 4: 500}}
"""By partner and product, of the demo data."""

BANKS = ("visa", "km", "paypal")

PLANS = {
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

OUTCOMES = {"pay twice": "twice", "pay more": "more", "pay less": "less", "fail to pay": "fail"}

ENDS = frozenset({"delivered", "cancelled", "expired"})


@dataclass
class Life:
    """One order to be: what is meant to happen, and what was answered on the way."""

    number: int
    plan: str
    hasty: bool
    """Whether everything that may be asked twice is."""
    customer: Person
    partner_id: int
    bank_id: str
    items: list[dict[str, int]]
    total: int
    order_id: str = ""
    callback_url: str = ""
    order_ids: set[str] = field(default_factory=set)
    """What confirming one check has answered; more than one is one too many."""
    promises: set[str] = field(default_factory=set)
    """Statuses that the order was said to have reached."""
    payments: dict[str, int] = field(default_factory=dict)
    """By payment, what its bank was answered in the end."""
    failure: str = ""


def plan(seed: int, count: int, customers: list[Person]) -> list[Life]:
    """So many lives to be; all that happens in them follows from the seed."""
    chance = random.Random(f"lives {seed}")  # noqa: S311 (what a seed makes, it makes again)
    return [_life(chance, number, chance.choice(customers)) for number in range(count)]


def _life(chance: random.Random, number: int, customer: Person) -> Life:
    partner = chance.choice(list(PRICES))
    products = chance.sample(list(PRICES[partner]), chance.randint(1, 3))
    items = [{"product_id": product, "quantity": chance.randint(1, 3)} for product in products]
    total = sum(PRICES[partner][item["product_id"]] * item["quantity"] for item in items)
    kind = chance.choices(list(PLANS), list(PLANS.values()))[0]
    return Life(number, kind, chance.random() < 0.4, customer, partner, chance.choice(BANKS), items, total)


class Kitchens:
    """What partners were told, looked up at most twice a second however many ask."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._seen: dict[int, tuple[float, set[str]]] = {}

    async def has(self, partner_id: int, order_id: str) -> bool:
        """Whether the order has arrived."""
        at, seen = self._seen.get(partner_id, (0.0, set()))
        if order_id not in seen and time.monotonic() - at > 0.5:
            received = await self._doors.peek(f"/kitchen/{partner_id}/orders")
            seen = {call["body"]["order_id"] for call in received if call["kind"] == "order"}
            self._seen[partner_id] = (time.monotonic(), seen)
        return order_id in seen


@dataclass
class Driver:
    """Who takes part, beside the customers."""

    doors: Doors
    admin: Person
    deliverer: Person
    kitchens: Kitchens
    longest_s: float
    """How long a life may take while the mesh is beaten."""

    async def live(self, life: Life) -> None:
        """One order, from the basket to its end; what cannot be is the life's `failure`."""
        try:
            async with asyncio.timeout(self.longest_s):
                await self._accept(life)
                await self._begin(life)
                await self._end(life)
        except (Stuck, TimeoutError, httpx.HTTPError) as error:
            life.failure = f"{type(error).__name__} {error}".strip()

    async def _accept(self, life: Life) -> None:
        """A check that the cache has lost is made anew; one that became an order never is."""
        basket = {
            "partner_id": life.partner_id,
            "items": life.items,
            "total_amount": life.total,
            "bank_id": life.bank_id,
            "delivery_address": f"{life.number} Long Street",
        }
        while not life.order_ids:
            checked = (await self.doors.ask("POST", "/order-checks", life.customer, json=basket)).raise_for_status()
            body = {"check_id": checked.json()["check_id"]}
            key = f"confirm-{life.number}-{body['check_id']}"[:64] if life.hasty else ""
            asked = [
                self.doors.ask("POST", "/orders", life.customer, json=body, key=key) for _ in range(1 + life.hasty)
            ]
            for answer in await asyncio.gather(*asked):
                if answer.status_code != httpx.codes.GONE:
                    confirmed = answer.raise_for_status().json()
                    life.order_ids.add(confirmed["order"]["id"])
                    life.callback_url = confirmed["payment"]["callback_url"]
        life.order_id = min(life.order_ids)

    async def _begin(self, life: Life) -> None:
        match life.plan:
            case "pay again":
                await self._pay(life, "pay")
                await self._pay(life, "pay")
            case "leave":
                await self._cancel(life, life.customer)
            case "pay too late":
                await self._cancel(life, life.customer)
                await self._pay(life, "pay")
            case "regret":
                await self._pay(life, "pay")
                await self._cancel(life, life.customer)
            case "leave while paying":
                await asyncio.gather(self._pay(life, "pay"), self._cancel(life, life.customer))
            case plan if plan in OUTCOMES:
                await self._pay(life, OUTCOMES[plan])

    async def _end(self, life: Life) -> None:
        """Whatever is to be done next, by whoever is to do it, until nothing is."""
        while (order := await self._order(life))["status"] not in ENDS:
            match order["status"]:
                case "pending" if "paid" in life.promises:
                    raise Stuck("the bank was told that the order is paid, and it is not")
                case "pending" if life.plan != "forget":
                    await self._pay(life, "pay")
                case "paid" if await self.kitchens.has(life.partner_id, life.order_id):
                    await self._ready(life)
                case "ready" if life.plan == "be refused":
                    await self._cancel(life, self.admin)
                case "ready":
                    await self._move(life, "assignment", "delivering")
                case "delivering":
                    await self._move(life, "delivery", "delivered")
            await asyncio.sleep(0.2)

    async def _order(self, life: Life) -> dict[str, Any]:
        answer = await self.doors.ask("GET", f"/orders/{life.order_id}", life.customer)
        found: dict[str, Any] = answer.raise_for_status().json()
        return found

    async def _pay(self, life: Life, outcome: str) -> None:
        """One payment; the bank goes on telling of it until it is answered for good."""
        body = {"order_id": life.order_id, "amount": life.total, "currency": "USD", "callback_url": life.callback_url}
        path = f"/checkout/{life.bank_id}"
        try:
            receipt = (await self.doors.outside("POST", path, {**body, "outcome": outcome})).raise_for_status().json()
        except httpx.TimeoutException:
            receipt = {"payment_id": "", "callbacks": []}
        answered: dict[str, int] = {}
        if final := {callback["status"] for callback in receipt["callbacks"]} & FINAL:
            answered[receipt["payment_id"]] = min(final)
        for entry in await self.doors.peek(f"/bank/{life.bank_id}/ledger"):
            payment_id = entry["payment_id"]
            if entry["order_id"] == life.order_id and payment_id not in life.payments | answered:
                paid, amount = bool(entry["captured"]), entry["captured"] or life.total
                answered[payment_id] = await self.doors.repeat_callback(
                    life.bank_id, payment_id, life.order_id, amount, paid=paid
                )
        life.payments |= answered
        if outcome not in ("fail", "less") and 200 in answered.values():
            life.promises.add("paid")

    async def _cancel(self, life: Life, who: Person) -> None:
        answer = await self.doors.ask("POST", f"/orders/{life.order_id}/cancel", who, json={"reason": life.plan})
        if answer.status_code == httpx.codes.OK:
            life.promises.add("cancelled")
        elif answer.status_code != httpx.codes.CONFLICT:
            answer.raise_for_status()

    async def _ready(self, life: Life) -> None:
        path = f"/kitchen/{life.partner_id}/orders/{life.order_id}/ready"
        for _ in range(1 + life.hasty):
            try:
                await self.doors.outside("POST", path, {"pickup_address": "1 Market Square"})
            except httpx.TimeoutException:
                continue

    async def _move(self, life: Life, what: str, status: str) -> None:
        path = f"/orders/{life.order_id}/{what}"
        asked: list[Callable[[], Any]] = [lambda: self.doors.ask("POST", path, self.deliverer)] * (1 + life.hasty)
        for answer in await asyncio.gather(*(ask() for ask in asked)):
            if answer.status_code == httpx.codes.OK:
                life.promises.add(status)
            elif answer.status_code != httpx.codes.CONFLICT:
                answer.raise_for_status()
