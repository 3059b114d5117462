"""Observation of the mesh through its public API, the sandbox and the broker."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import httpx
import pika

from generated.events import ORDER_CANCELLED
from services.runtime.config.urls import list_broker_urls
from services.runtime.messaging.dead_letters import DeadLetter, connect
from services.runtime.messaging.topology import QUEUES, RETRY_QUEUES
from tests.chaos.client import ChaosClient, SignedInUser
from tests.chaos.invariants import Observation, OrderObservation
from tests.chaos.workload import BANKS, PRICES, OrderScenario

PUSH_DEPENDENCIES = {"notifications", "postgres"}
"""Fault targets that cause duplicate pushes: a push that was not recorded is sent again, with the same tag."""


async def observe(
    client: ChaosClient,
    admin: SignedInUser,
    customers: Sequence[SignedInUser],
    scenarios: Sequence[OrderScenario],
    fault_targets: Collection[str],
) -> Observation:
    """Observe the current state of all orders."""
    counts_repetitions = not PUSH_DEPENDENCIES & {*fault_targets}
    ledgers = await _group_by_order(client, [f"/bank/{bank}/ledger" for bank in BANKS])
    partner_calls = await _group_by_order(client, [f"/kitchen/{partner}/orders" for partner in PRICES])
    push_events: dict[str, list[str]] = defaultdict(list)
    for customer in customers:
        for message in await client.get_from_sandbox(f"/devices/{customer.device}/messages"):
            times = message["times_received"] if counts_repetitions else 1
            push_events[message["data"].get("order_id", "")] += [message["data"].get("event", "")] * times
    payments: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for payment in await client.list_all("/payments", admin):
        payments[payment["order_id"]].append(payment)
    customers_by_order = {
        order["id"]: customer for customer in customers for order in await client.list_all("/orders", customer)
    }
    semaphore = asyncio.Semaphore(16)

    async def observe_order(order_id: str, customer: SignedInUser) -> OrderObservation:
        async with semaphore:
            response = await client.request_with_retry("GET", f"/orders/{order_id}", customer)
            if response.status_code == httpx.codes.NOT_FOUND:
                return OrderObservation(None)
            history = [step["status"] for step in await client.list_all(f"/orders/{order_id}/history", customer)]
        related = (payments[order_id], ledgers[order_id], partner_calls[order_id], push_events[order_id])
        return OrderObservation(response.raise_for_status().json(), history, *related)

    async def observe_orders(owners: dict[str, SignedInUser]) -> dict[str, OrderObservation]:
        observed = await asyncio.gather(*(observe_order(*each) for each in owners.items()))
        return dict(zip(owners, observed, strict=True))

    confirmed = {scenario.order_id: scenario.customer for scenario in scenarios if scenario.order_id}
    known_ids = {order_id for scenario in scenarios for order_id in scenario.order_ids}
    unconfirmed = {order_id: customer for order_id, customer in customers_by_order.items() if order_id not in known_ids}
    return Observation(
        scenarios,
        await observe_orders(confirmed),
        await observe_orders(unconfirmed),
        [
            _format_dead_letter(dead_letter)
            for dead_letter in await asyncio.to_thread(_read_dead_letters, client.target.broker_url)
        ],
        reports_cancellations="partners.calls" in ORDER_CANCELLED.queues,
    )


async def _group_by_order(client: ChaosClient, paths: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    entries: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for path in paths:
        for entry in await client.get_from_sandbox(path):
            body = entry.get("body")
            # A cancellation contains the order id only in its path.
            order_id = entry.get("order_id") or (body.get("order_id") if isinstance(body, dict) else "")
            entries[order_id].append(entry)
    return entries


def _read_dead_letters(broker: str) -> list[DeadLetter]:
    with connect(broker) as dead_letters:
        return [dead_letter for queue in QUEUES for dead_letter in dead_letters.list_all(queue)]


def _format_dead_letter(dead_letter: DeadLetter) -> str:
    return f"{dead_letter.queue} {dead_letter.type} of {dead_letter.subject}: {dead_letter.reason}"


def count_in_flight(broker: str) -> int:
    """Return the number of messages in the queues of the services and in the retry queues."""
    with pika.BlockingConnection([*map(pika.URLParameters, list_broker_urls(broker))]) as connection:
        channel = connection.channel()
        return sum(channel.queue_declare(name, passive=True).method.message_count for name in (*QUEUES, *RETRY_QUEUES))
