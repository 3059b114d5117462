"""Calls to partner systems with a real database and the sandbox: retries, leases, circuit breaker, cancellations."""

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Sequence
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from generated.events import ORDER_CANCELLED, ORDER_PAID
from generated.proto.delivery.events.v1 import OrderCancelled, OrderLine, OrderPaid, OrderSnapshot
from services.partners.adapters.partner_system_client import PartnerSystemClient
from services.partners.domain.call_policy import CIRCUIT_BREAKER_POLICY, Call, CallState, Outcome, PartnerResponse
from services.partners.domain.partners import Partner
from services.partners.entrypoints.call_worker import MAX_PER_PARTNER, CallPolicy, create_call_workers
from services.partners.entrypoints.consumers import OrderEventsConsumer
from services.partners.usecases.partner_calls import PartnerSystem
from services.runtime.concurrency.circuit_breaker import CircuitBreaker
from services.runtime.core.clock import Clock, now
from services.runtime.core.ids import generate_id
from services.runtime.messaging.consumer import consume
from services.runtime.messaging.events import Envelope
from services.runtime.outbound import safe_http_client
from tests.integration.fixtures.partners import PartnersFixture
from tests.integration.sandbox.conftest import Sandbox
from tests.wait import wait_until_async

RETRY_DELAYS_S = (0.0, 0.05, 0.05)
POLICY = CallPolicy(RETRY_DELAYS_S, 5)


@contextlib.asynccontextmanager
async def run_in_background(*coroutines: Awaitable[None]) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def run_worker_on_sandbox(
    partners: PartnersFixture,
    sandbox: Sandbox,
    *,
    policy: CallPolicy = POLICY,
    clock: Clock = now,
    allowed: bool = True,
) -> AsyncIterator[asyncio.Event]:
    """Run a worker that calls the sandbox; yield the event that wakes it."""
    wakeup = asyncio.Event()
    allowed_targets = [sandbox.url] if allowed else []
    async with safe_http_client.create_transport(allowed_targets) as transport:
        system = PartnerSystemClient(transport, partners.secret_box, clock, policy.timeout_s)
        pool = create_call_workers(partners.due_calls, partners.repository, system, clock, policy, wakeup)
        async with run_in_background(pool.run()):
            yield wakeup


async def wait_until_finished(partners: PartnersFixture, *calls: Call) -> list[Call]:
    async def are_all_finished() -> bool:
        return all([(await partners.get_call(call.id)).state is not CallState.WAITING for call in calls])

    await wait_until_async(are_all_finished)
    return [await partners.get_call(call.id) for call in calls]


def list_received_calls(http: httpx.Client, partner: Partner) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = http.get(f"/kitchen/{partner.id}/orders").json()
    return calls


def set_fault(http: httpx.Client, partner: Partner, mode: str, count: int | None = None) -> None:
    body = {"mode": mode} | ({} if count is None else {"count": count})
    assert http.put(f"/kitchen/{partner.id}/fault", json=body).status_code == 204


async def test_call_is_retried_with_same_webhook_id(
    partners: PartnersFixture, sandbox: Sandbox, http: httpx.Client
) -> None:
    partner = await partners.add_partner(sandbox.url, sandbox.secret)
    set_fault(http, partner, "error", 2)
    call = await partners.plan_order_call(partner)
    async with run_worker_on_sandbox(partners, sandbox):
        [done] = await wait_until_finished(partners, call)
    assert done.state is CallState.DELIVERED
    assert [attempt.answer for attempt in done.tries] == ["503", "503", "204"]
    [received] = list_received_calls(http, partner)
    assert (received["webhook_id"], received["times_received"], received["signature_valid"]) == (call.id, 3, True)
    assert received["body"] == call.payload
    assert await partners.list_pending_event_types(call.order_id) == ["partners.notified"]


@pytest.mark.parametrize(
    ("mode", "summaries", "timeout_s"),
    [
        ("error", ["503"] * 3, 5),
        ("slow", ["TimeoutError"] * 3, 0.15),
        ("refuse", ["422"], 5),
        ("invalid_response", ["200: response violates the contract"] * 3, 5),
        ("redirect", ["307: redirect not followed"] * 3, 5),
        ("gone", ["410"], 5),
    ],
)
async def test_failed_call_publishes_unreachable_once(
    partners: PartnersFixture, sandbox: Sandbox, http: httpx.Client, mode: str, summaries: list[str], timeout_s: float
) -> None:
    partner = await partners.add_partner(sandbox.url, sandbox.secret)
    set_fault(http, partner, mode)
    call = await partners.plan_order_call(partner)
    async with run_worker_on_sandbox(partners, sandbox, policy=CallPolicy(RETRY_DELAYS_S, timeout_s)):
        [done] = await wait_until_finished(partners, call)
    assert (done.state, [attempt.answer for attempt in done.tries]) == (CallState.FAILED, summaries)
    assert await partners.list_pending_event_types(call.order_id) == ["partners.unreachable"]
    assert [
        (received["webhook_id"], received["times_received"]) for received in list_received_calls(http, partner)
    ] == [(call.id, len(summaries))]


async def test_410_disables_partner_and_stops_calls(
    partners: PartnersFixture, sandbox: Sandbox, http: httpx.Client
) -> None:
    partner = await partners.add_partner(sandbox.url, sandbox.secret)
    set_fault(http, partner, "error", 1)
    first_call = await partners.plan_order_call(partner)
    async with run_worker_on_sandbox(partners, sandbox, policy=CallPolicy((0, 3600), 5)) as wakeup:

        async def is_attempted() -> bool:
            return len((await partners.get_call(first_call.id)).tries) == 1

        await wait_until_async(is_attempted)
        set_fault(http, partner, "gone")
        second_call = await partners.plan_order_call(partner)
        wakeup.set()
        states = [call.state for call in await wait_until_finished(partners, first_call, second_call)]
    assert states == [CallState.FAILED] * 2
    assert {call["webhook_id"]: call["times_received"] for call in list_received_calls(http, partner)} == {
        first_call.id: 1,
        second_call.id: 1,
    }
    stored = await partners.repository.partners.get(partner.id)
    assert stored is not None
    assert (stored.gone, stored.enabled, stored.version) == (True, False, 2)
    assert await partners.list_pending_event_types(f"partner:{partner.id}") == ["partners.catalog_changed"]
    assert await partners.list_pending_event_types(first_call.order_id) == ["partners.unreachable"]


async def test_retry_after_is_honoured(partners: PartnersFixture, sandbox: Sandbox, http: httpx.Client) -> None:
    partner = await partners.add_partner(sandbox.url, sandbox.secret)
    set_fault(http, partner, "busy", 1)
    before = now()
    call = await partners.plan_order_call(partner)
    async with run_worker_on_sandbox(partners, sandbox):

        async def is_attempted() -> bool:
            return len((await partners.get_call(call.id)).tries) == 1

        await wait_until_async(is_attempted)
        assert (await partners.get_call(call.id)).next_at >= before + timedelta(seconds=2)
        [done] = await wait_until_finished(partners, call)
    assert [attempt.answer for attempt in done.tries] == ["503", "204"]
    assert done.tries[1].at - done.tries[0].at >= timedelta(seconds=2)


async def test_private_address_is_not_called_unless_allowed(
    partners: PartnersFixture, sandbox: Sandbox, http: httpx.Client
) -> None:
    partner = await partners.add_partner(sandbox.url, sandbox.secret)
    call = await partners.plan_order_call(partner)
    async with run_worker_on_sandbox(partners, sandbox, allowed=False):
        [done] = await wait_until_finished(partners, call)
    assert [attempt.answer for attempt in done.tries] == ["forbidden target"] * 3
    assert list_received_calls(http, partner) == []


class StubPartnerSystem(PartnerSystem):
    """Partner systems of which some do not respond until `revived` is set; counts calls."""

    def __init__(self, *unresponsive: Partner) -> None:
        self.unresponsive = {partner.id for partner in unresponsive}
        self.running: Counter[int] = Counter()
        self.max_running: Counter[int] = Counter()
        self.call_counts: Counter[str] = Counter()
        self.revived = asyncio.Event()

    async def send(self, partner: Partner, call: Call) -> PartnerResponse:
        self.call_counts[call.id] += 1
        self.running[partner.id] += 1
        self.max_running[partner.id] = max(self.max_running[partner.id], self.running[partner.id])
        try:
            if partner.id in self.unresponsive:
                await self.revived.wait()
            return PartnerResponse(Outcome.ACCEPTED, "204")
        finally:
            self.running[partner.id] -= 1


def create_workers(
    partners: PartnersFixture, system: PartnerSystem, count: int, clock: Clock = now
) -> list[Awaitable[None]]:
    return [
        create_call_workers(partners.due_calls, partners.repository, system, clock, POLICY, asyncio.Event()).run()
        for _ in range(count)
    ]


async def test_unresponsive_partners_do_not_delay_others(partners: PartnersFixture) -> None:
    unresponsive = [await partners.add_partner("http://dead.test", "whsec_AAAA") for _ in range(3)]
    pending_calls = [await partners.plan_order_call(partner) for _ in range(20) for partner in unresponsive]
    responsive = [await partners.add_partner("http://alive.test", "whsec_AAAA") for _ in range(5)]
    calls = [await partners.plan_order_call(partner) for _ in range(6) for partner in responsive]
    system = StubPartnerSystem(*unresponsive)
    async with run_in_background(*create_workers(partners, system, 2)):
        done = await wait_until_finished(partners, *calls)
        assert {call.state for call in done} == {CallState.DELIVERED}
        assert {(await partners.get_call(call.id)).state for call in pending_calls} == {CallState.WAITING}
        assert all(system.max_running[partner.id] == MAX_PER_PARTNER for partner in unresponsive)
        system.revived.set()
        await wait_until_finished(partners, *pending_calls)
    assert all(system.max_running[partner.id] <= MAX_PER_PARTNER for partner in (*unresponsive, *responsive))


async def test_concurrent_workers_make_each_call_once(partners: PartnersFixture) -> None:
    partner_list = [await partners.add_partner("http://alive.test", "whsec_AAAA") for _ in range(10)]
    calls = [await partners.plan_order_call(partner) for _ in range(8) for partner in partner_list]
    system = StubPartnerSystem()
    async with run_in_background(*create_workers(partners, system, 4)):
        await wait_until_finished(partners, *calls)
    assert system.call_counts == Counter(call.id for call in calls)


async def test_expired_lease_is_taken_over(partners: PartnersFixture) -> None:
    partner = await partners.add_partner("http://alive.test", "whsec_AAAA")
    call = await partners.plan_order_call(partner)
    at = now()
    [claimed] = await partners.due_calls.claim_due_calls(5, MAX_PER_PARTNER, at, at + POLICY.lease)
    assert claimed.id == call.id
    assert await partners.due_calls.claim_due_calls(5, MAX_PER_PARTNER, at + POLICY.lease / 2, at + POLICY.lease) == []
    async with run_in_background(*create_workers(partners, StubPartnerSystem(), 1, lambda: now() + POLICY.lease)):
        [done] = await wait_until_finished(partners, call)
    assert (done.state, done.attempts, done.leased_until) == (CallState.DELIVERED, 2, None)


class FailingPartnerSystem(PartnerSystem):
    """A partner system that fails until `works` is set."""

    def __init__(self) -> None:
        self.calls = 0
        self.works = False

    async def send(self, partner: Partner, call: Call) -> PartnerResponse:
        self.calls += 1
        return (
            PartnerResponse(Outcome.ACCEPTED, "204") if self.works else PartnerResponse(Outcome.FAILED, "ConnectError")
        )


async def test_circuit_breaker_opens_and_closes_after_probe(partners: PartnersFixture) -> None:
    partner = await partners.add_partner("http://dead.test", "whsec_AAAA")
    system, clock_offset = FailingPartnerSystem(), timedelta(0)

    def clock() -> datetime:
        return now() + clock_offset

    calls = [await partners.plan_order_call(partner) for _ in range(12)]
    policy = CallPolicy((0, 600, 600), 5)
    pool = create_call_workers(partners.due_calls, partners.repository, system, clock, policy, asyncio.Event())
    async with run_in_background(pool.run()):

        async def is_attempted() -> bool:
            return all([(await partners.get_call(call.id)).tries for call in calls])

        await wait_until_async(is_attempted)
        # Calls that were running when the fifth failed are made; the circuit breaker blocks the others.
        threshold = CIRCUIT_BREAKER_POLICY.failure_threshold
        assert threshold <= system.calls <= threshold + MAX_PER_PARTNER - 1
        summaries = Counter([(await partners.get_call(call.id)).tries[0].answer for call in calls])
        assert summaries["circuit breaker open"] == len(calls) - system.calls
        system.works, clock_offset = True, timedelta(seconds=1000)

        async def is_breaker_closed() -> bool:
            async with partners.repository.unit_of_work() as unit:
                return await unit.breakers.get_for_update(partner.id) == CircuitBreaker()

        await wait_until_async(is_breaker_closed)
        clock_offset = timedelta(seconds=2000)
        done = await wait_until_finished(partners, *calls)
    assert {call.state for call in done} == {CallState.DELIVERED}


async def test_last_attempt_is_made_while_breaker_is_open(partners: PartnersFixture) -> None:
    partner = await partners.add_partner("http://dead.test", "whsec_AAAA")
    async with partners.repository.unit_of_work() as unit:
        await unit.breakers.save(partner.id, CircuitBreaker(9, now() + timedelta(minutes=5)))
    call, system = await partners.plan_order_call(partner), FailingPartnerSystem()
    async with run_in_background(*create_workers(partners, system, 1)):
        [done] = await wait_until_finished(partners, call)
    assert [attempt.answer for attempt in done.tries] == [
        "circuit breaker open",
        "circuit breaker open",
        "ConnectError",
    ]
    assert system.calls == 1


async def test_cancellation_is_sent_once_to_notified_partner(
    partners: PartnersFixture, sandbox: Sandbox, http: httpx.Client
) -> None:
    partner = await partners.add_partner(sandbox.url, sandbox.secret)
    call = await partners.plan_order_call(partner)
    async with run_worker_on_sandbox(partners, sandbox) as wakeup:
        await wait_until_finished(partners, call)
        set_fault(http, partner, "error", 1)
        cancellation = await partners.plan_cancellation_call(call.order_id, reason="The customer changed their mind.")
        wakeup.set()
        await wait_until_finished(partners, await partners.get_call(cancellation))
    order, cancelled = list_received_calls(http, partner)
    assert (order["kind"], cancelled["kind"]) == ("order", "cancellation")
    assert (cancelled["webhook_id"], cancelled["times_received"]) == (cancellation, 2)
    assert cancelled["body"] == {"order_id": call.order_id, "reason": "The customer changed their mind."}
    assert await partners.list_pending_event_types(call.order_id) == ["partners.notified"]


async def test_cancellation_waits_for_running_attempt(partners: PartnersFixture) -> None:
    partner = await partners.add_partner("http://slow.test", "whsec_AAAA")
    system = StubPartnerSystem(partner)
    call = await partners.plan_order_call(partner)
    async with run_in_background(*create_workers(partners, system, 2)):

        async def is_running() -> bool:
            return system.running[partner.id] == 1

        await wait_until_async(is_running)
        cancellation = await partners.plan_cancellation_call(call.order_id)
        at = now()
        assert await partners.due_calls.claim_due_calls(5, MAX_PER_PARTNER, at, at + POLICY.lease) == []
        system.revived.set()
        [done] = await wait_until_finished(partners, await partners.get_call(cancellation))
    assert done.state is CallState.DELIVERED
    assert await partners.get_call_states(call.order_id) == {"order": "withdrawn", "cancellation": "delivered"}


@pytest.mark.parametrize("steps", sorted(set(itertools.permutations(["paid", "paid", "cancelled", "cancelled"]))))
async def test_paid_and_cancelled_events_are_idempotent_in_any_order(
    partners: PartnersFixture, steps: Sequence[str]
) -> None:
    partner = await partners.add_partner("http://alive.test", "whsec_AAAA")
    order_id, paid, cancelled = generate_id(), generate_id(), generate_id()
    for step in steps:
        await (
            partners.plan_order_call(partner, order_id, paid)
            if step == "paid"
            else partners.plan_cancellation_call(order_id, cancelled)
        )
    # No attempt was made to call the partner, so no cancellation is planned.
    assert await partners.get_call_states(order_id) == ({"order": "withdrawn"} if steps[0] == "paid" else {})
    system = StubPartnerSystem()
    at = now()
    assert await partners.due_calls.claim_due_calls(5, MAX_PER_PARTNER, at, at + POLICY.lease) == []
    assert system.call_counts == Counter()


async def test_order_events_are_sent_as_calls(partners: PartnersFixture, sandbox: Sandbox, http: httpx.Client) -> None:
    partner = await partners.add_partner(sandbox.url, sandbox.secret)
    snapshot = OrderSnapshot(order_id=generate_id(), version=2, customer_id="ada", partner_id=partner.id, at=now())
    paid = OrderPaid(order=snapshot, payment_id="p1", items=[OrderLine(product_id=1, title="Lemonade", quantity=2)])
    cancelled = OrderCancelled(order=snapshot, reason="x" * 600)
    paid_id, cancelled_id = generate_id(), generate_id()

    async def publish(*envelopes: Envelope) -> None:
        async with partners.admin_broker.open_channel() as channel:
            await channel.publish(envelopes)

    async with run_worker_on_sandbox(partners, sandbox) as wakeup:
        consumer = OrderEventsConsumer(partners.repository, now, "https://edge.test", 0, wakeup)
        async with run_in_background(consume(partners.broker, consumer)):
            body = ORDER_PAID.encode(paid)
            envelope = Envelope(paid_id, "/orders", ORDER_PAID.type, snapshot.order_id, now(), {}, body)
            await publish(envelope, envelope)

            async def is_delivered() -> bool:
                return await partners.get_call_states(snapshot.order_id) == {"order": "delivered"}

            await wait_until_async(is_delivered)
            body = ORDER_CANCELLED.encode(cancelled)
            await publish(Envelope(cancelled_id, "/orders", ORDER_CANCELLED.type, snapshot.order_id, now(), {}, body))

            async def is_cancellation_delivered() -> bool:
                return (await partners.get_call_states(snapshot.order_id)).get("cancellation") == "delivered"

            await wait_until_async(is_cancellation_delivered)
    order_call, cancellation_call = list_received_calls(http, partner)
    assert (order_call["webhook_id"], order_call["times_received"]) == (paid_id, 1)
    assert order_call["body"] == {
        "order_id": snapshot.order_id,
        "items": [{"product_id": 1, "title": "Lemonade", "quantity": 2}],
        "callback_url": f"https://edge.test/api/v1/callbacks/partners/{partner.id}/ready",
    }
    assert (cancellation_call["webhook_id"], len(cancellation_call["body"]["reason"])) == (cancelled_id, 500)
