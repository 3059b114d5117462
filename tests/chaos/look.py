"""Gathers what can be seen from outside."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import httpx
import pika

from generated.events import ORDER_CANCELLED
from services.runtime.dead_letters import DeadLetter, opened
from services.runtime.topology import QUEUES, RETRY_DELAYS, retry_exchange
from tests.chaos.doors import Doors, Person
from tests.chaos.judge import Facts, Seen
from tests.chaos.lives import BANKS, PRICES, Life

PUSHES = {"notifications", "postgres"}
"""Who must not be beaten where each push comes once: a push that nobody could note is made again, with the same tag."""


async def look(
    doors: Doors, admin: Person, customers: Sequence[Person], lives: Sequence[Life], beaten: Collection[str]
) -> Seen:
    """Everything, as it is now."""
    once = not PUSHES & {*beaten}
    ledgers = await _by_order(doors, [f"/bank/{bank}/ledger" for bank in BANKS])
    kitchens = await _by_order(doors, [f"/kitchen/{partner}/orders" for partner in PRICES])
    shown: dict[str, list[str]] = defaultdict(list)
    for customer in customers:
        for message in await doors.peek(f"/devices/{customer.device}/messages"):
            times = message["times_received"] if once else 1
            shown[message["data"].get("order_id", "")] += [message["data"].get("event", "")] * times
    payments: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for payment in await doors.all("/payments", admin):
        payments[payment["order_id"]].append(payment)
    theirs = {order["id"]: customer for customer in customers for order in await doors.all("/orders", customer)}
    gate = asyncio.Semaphore(16)

    async def facts(order_id: str, customer: Person) -> Facts:
        async with gate:
            answer = await doors.ask("GET", f"/orders/{order_id}", customer)
            if answer.status_code == httpx.codes.NOT_FOUND:
                return Facts(None)
            history = [step["status"] for step in await doors.all(f"/orders/{order_id}/history", customer)]
        about = (payments[order_id], ledgers[order_id], kitchens[order_id], shown[order_id])
        return Facts(answer.raise_for_status().json(), history, *about)

    async def all_facts(wanted: dict[str, Person]) -> dict[str, Facts]:
        found = await asyncio.gather(*(facts(*each) for each in wanted.items()))
        return dict(zip(wanted, found, strict=True))

    ours = {life.order_id: life.customer for life in lives if life.order_id}
    known = {order_id for life in lives for order_id in life.order_ids}
    strangers = {order_id: customer for order_id, customer in theirs.items() if order_id not in known}
    return Seen(
        lives,
        await all_facts(ours),
        await all_facts(strangers),
        [_said(letter) for letter in await asyncio.to_thread(_dead, doors.mesh.broker)],
        cancellations="partners.calls" in ORDER_CANCELLED.queues,
    )


async def _by_order(doors: Doors, paths: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for path in paths:
        for entry in await doors.peek(path):
            body = entry.get("body")
            # A cancellation names its order in its path only.
            order_id = entry.get("order_id") or (body.get("order_id") if isinstance(body, dict) else "")
            found[order_id].append(entry)
    return found


def _dead(broker: str) -> list[DeadLetter]:
    with opened(broker) as letters:
        return [letter for queue in QUEUES for letter in letters.letters(queue)]


def _said(letter: DeadLetter) -> str:
    return f"{letter.queue} {letter.type} of {letter.subject}: {letter.reason}"


def under_way(broker: str) -> int:
    """How many messages wait in the queues that services take from, or for their next attempt."""
    with pika.BlockingConnection(pika.URLParameters(broker)) as connection:
        channel = connection.channel()
        names = [*QUEUES, *map(retry_exchange, RETRY_DELAYS)]
        return sum(channel.queue_declare(name, passive=True).method.message_count for name in names)
