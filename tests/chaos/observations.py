"""Gathers what can be seen from outside."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import httpx
import pika

from generated.events import ORDER_CANCELLED
from services.runtime.messaging.dead_letters import DeadLetter, connect
from services.runtime.messaging.topology import QUEUES, RETRY_DELAYS_S, retry_exchange
from tests.chaos.client import ChaosClient, SignedInUser
from tests.chaos.invariants import Observation, OrderObservation
from tests.chaos.workload import BANKS, PRICES, OrderScenario

PUSH_DEPENDENCIES = {"notifications", "postgres"}
"""Who must not be beaten where each push comes once: a push that nobody could note is made again, with the same tag."""


async def observe(
    client: ChaosClient,
    admin: SignedInUser,
    customers: Sequence[SignedInUser],
    scenarios: Sequence[OrderScenario],
    fault_targets: Collection[str],
) -> Observation:
    """Everything, as it is now."""
    once = not PUSH_DEPENDENCIES & {*fault_targets}
    ledgers = await _group_by_order(client, [f"/bank/{bank}/ledger" for bank in BANKS])
    kitchens = await _group_by_order(client, [f"/kitchen/{partner}/orders" for partner in PRICES])
    shown: dict[str, list[str]] = defaultdict(list)
    for customer in customers:
        for message in await client.sandbox_get(f"/devices/{customer.device}/messages"):
            times = message["times_received"] if once else 1
            shown[message["data"].get("order_id", "")] += [message["data"].get("event", "")] * times
    payments: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for payment in await client.list_all("/payments", admin):
        payments[payment["order_id"]].append(payment)
    theirs = {order["id"]: customer for customer in customers for order in await client.list_all("/orders", customer)}
    gate = asyncio.Semaphore(16)

    async def facts(order_id: str, customer: SignedInUser) -> OrderObservation:
        async with gate:
            answer = await client.request_with_retry("GET", f"/orders/{order_id}", customer)
            if answer.status_code == httpx.codes.NOT_FOUND:
                return OrderObservation(None)
            history = [step["status"] for step in await client.list_all(f"/orders/{order_id}/history", customer)]
        about = (payments[order_id], ledgers[order_id], kitchens[order_id], shown[order_id])
        return OrderObservation(answer.raise_for_status().json(), history, *about)

    async def all_facts(wanted: dict[str, SignedInUser]) -> dict[str, OrderObservation]:
        found = await asyncio.gather(*(facts(*each) for each in wanted.items()))
        return dict(zip(wanted, found, strict=True))

    ours = {life.order_id: life.customer for life in scenarios if life.order_id}
    known = {order_id for life in scenarios for order_id in life.order_ids}
    strangers = {order_id: customer for order_id, customer in theirs.items() if order_id not in known}
    return Observation(
        scenarios,
        await all_facts(ours),
        await all_facts(strangers),
        [_format_dead_letter(letter) for letter in await asyncio.to_thread(_read_dead_letters, client.mesh.broker_url)],
        reports_cancellations="partners.calls" in ORDER_CANCELLED.queues,
    )


async def _group_by_order(client: ChaosClient, paths: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for path in paths:
        for entry in await client.sandbox_get(path):
            body = entry.get("body")
            # A cancellation names its order in its path only.
            order_id = entry.get("order_id") or (body.get("order_id") if isinstance(body, dict) else "")
            found[order_id].append(entry)
    return found


def _read_dead_letters(broker: str) -> list[DeadLetter]:
    with connect(broker) as letters:
        return [letter for queue in QUEUES for letter in letters.list_all(queue)]


def _format_dead_letter(letter: DeadLetter) -> str:
    return f"{letter.queue} {letter.type} of {letter.subject}: {letter.reason}"


def count_in_flight(broker: str) -> int:
    """How many messages wait in the queues that services take from, or for their next attempt."""
    with pika.BlockingConnection(pika.URLParameters(broker)) as connection:
        channel = connection.channel()
        names = [*QUEUES, *map(retry_exchange, RETRY_DELAYS_S)]
        return sum(channel.queue_declare(name, passive=True).method.message_count for name in names)
