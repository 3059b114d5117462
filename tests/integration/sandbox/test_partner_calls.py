"""Partners' systems on a real database and real kitchens: told once in effect, or given up; the dead slow nobody."""

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from generated.events import ORDER_CANCELLED, ORDER_PAID
from generated.proto.delivery.events.v1 import OrderCancelled, OrderLine, OrderPaid, OrderSnapshot
from services.partners.adapters.partner_system_client import PartnerSystemClient
from services.partners.domain import call_policy
from services.partners.domain.call_policy import Call, CallState, CircuitBreaker, Outcome, PartnerResponse
from services.partners.domain.partners import Partner
from services.partners.entrypoints.call_worker import MAX_PER_PARTNER, CallPolicy, run_worker
from services.partners.entrypoints.consumers import OrderEventsConsumer
from services.partners.usecases.ports import PartnerSystem
from services.runtime.core.clock import Clock, now
from services.runtime.core.ids import new_id
from services.runtime.messaging.consumer import consume
from services.runtime.messaging.events import Envelope
from services.runtime.outbound import safe_http_client
from tests.integration.fixtures.partners import PartnersFixture
from tests.integration.sandbox.conftest import Sandbox

SCHEDULE = (0.0, 0.05, 0.05)
TERMS = CallPolicy(SCHEDULE, 5)


@contextlib.asynccontextmanager
async def beside(*background: Awaitable[None]) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(one) for one in background]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(probe: Callable[[], Awaitable[bool]], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not await probe():
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def calling(
    partners: PartnersFixture, sandbox: Sandbox, *, terms: CallPolicy = TERMS, clock: Clock = now, allowed: bool = True
) -> AsyncIterator[asyncio.Event]:
    """A worker on the sandbox's kitchens."""
    planned = asyncio.Event()
    targets = [sandbox.url] if allowed else []
    async with safe_http_client.create_client(targets, timeout_s=terms.timeout_s) as client:
        system = PartnerSystemClient(client, partners.secret_box, clock, terms.timeout_s)
        async with beside(run_worker(partners.repository, system, clock, terms, planned)):
            yield planned


async def ended(partners: PartnersFixture, *calls: Call) -> list[Call]:
    async def all_ended() -> bool:
        return all([(await partners.get_call(call.id)).state is not CallState.WAITING for call in calls])

    await until(all_ended)
    return [await partners.get_call(call.id) for call in calls]


def received(http: httpx.Client, partner: Partner) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = http.get(f"/kitchen/{partner.id}/orders").json()
    return calls


def fault(http: httpx.Client, partner: Partner, mode: str, count: int | None = None) -> None:
    body = {"mode": mode} | ({} if count is None else {"count": count})
    assert http.put(f"/kitchen/{partner.id}/fault", json=body).status_code == 204


async def test_a_partner_is_told_with_the_same_id_until_it_takes_the_order(
    partners: PartnersFixture, sandbox: Sandbox, http: httpx.Client
) -> None:
    partner = await partners.add_partner(sandbox.url, sandbox.secret)
    fault(http, partner, "error", 2)
    call = await partners.plan_order_call(partner)
    async with calling(partners, sandbox):
        [done] = await ended(partners, call)
    assert done.state is CallState.DELIVERED
    assert [one.answer for one in done.tries] == ["503", "503", "204"]
    [heard] = received(http, partner)
    assert (heard["webhook_id"], heard["times_received"], heard["signature_valid"]) == (call.id, 3, True)
    assert heard["body"] == call.payload
    assert await partners.list_pending_event_types(call.order_id) == ["partners.notified"]


@pytest.mark.parametrize(
    ("mode", "answers", "timeout_s"),
    [
        ("error", ["503"] * 3, 5),
        ("slow", ["TimeoutError"] * 3, 0.15),
        ("refuse", ["422"], 5),
        ("lie", ["200, not by the contract"] * 3, 5),
        ("redirect", ["307, a redirect, which is not followed"] * 3, 5),
        ("gone", ["410"], 5),
    ],
)
async def test_a_kitchen_that_does_not_take_an_order_is_given_up_and_orders_is_told_once(
    partners: PartnersFixture, sandbox: Sandbox, http: httpx.Client, mode: str, answers: list[str], timeout_s: float
) -> None:
    partner = await partners.add_partner(sandbox.url, sandbox.secret)
    fault(http, partner, mode)
    call = await partners.plan_order_call(partner)
    async with calling(partners, sandbox, terms=CallPolicy(SCHEDULE, timeout_s)):
        [done] = await ended(partners, call)
    assert (done.state, [one.answer for one in done.tries]) == (CallState.FAILED, answers)
    assert await partners.list_pending_event_types(call.order_id) == ["partners.unreachable"]
    assert [(one["webhook_id"], one["times_received"]) for one in received(http, partner)] == [(call.id, len(answers))]


async def test_a_system_that_is_gone_switches_its_partner_off_and_is_called_no_more(
    partners: PartnersFixture, sandbox: Sandbox, http: httpx.Client
) -> None:
    partner = await partners.add_partner(sandbox.url, sandbox.secret)
    fault(http, partner, "error", 1)
    later = await partners.plan_order_call(partner)
    async with calling(partners, sandbox, terms=CallPolicy((0, 3600), 5)) as planned:

        async def tried() -> bool:
            return len((await partners.get_call(later.id)).tries) == 1

        await until(tried)
        fault(http, partner, "gone")
        now_gone = await partners.plan_order_call(partner)
        planned.set()
        states = [call.state for call in await ended(partners, later, now_gone)]
    assert states == [CallState.FAILED] * 2
    assert {call["webhook_id"]: call["times_received"] for call in received(http, partner)} == {
        later.id: 1,
        now_gone.id: 1,
    }
    kept = await partners.repository.get_partner(partner.id)
    assert kept is not None
    assert (kept.gone, kept.enabled, kept.version) == (True, False, 2)
    assert await partners.list_pending_event_types(f"partner:{partner.id}") == ["partners.catalog_changed"]
    assert await partners.list_pending_event_types(later.order_id) == ["partners.unreachable"]


async def test_a_busy_kitchen_is_left_alone_for_as_long_as_it_asks(
    partners: PartnersFixture, sandbox: Sandbox, http: httpx.Client
) -> None:
    partner = await partners.add_partner(sandbox.url, sandbox.secret)
    fault(http, partner, "busy", 1)
    before = now()
    call = await partners.plan_order_call(partner)
    async with calling(partners, sandbox):

        async def tried() -> bool:
            return len((await partners.get_call(call.id)).tries) == 1

        await until(tried)
        assert (await partners.get_call(call.id)).next_at >= before + timedelta(seconds=2)
        [done] = await ended(partners, call)
    assert [one.answer for one in done.tries] == ["503", "204"]
    assert done.tries[1].at - done.tries[0].at >= timedelta(seconds=2)


async def test_our_own_network_is_not_called_unless_it_is_allowed(
    partners: PartnersFixture, sandbox: Sandbox, http: httpx.Client
) -> None:
    partner = await partners.add_partner(sandbox.url, sandbox.secret)
    call = await partners.plan_order_call(partner)
    async with calling(partners, sandbox, allowed=False):
        [done] = await ended(partners, call)
    assert [one.answer for one in done.tries] == ["a forbidden target"] * 3
    assert received(http, partner) == []


class Kitchens(PartnerSystem):
    """Systems of which some never answer, in the hands of any number of workers."""

    def __init__(self, *dead: Partner) -> None:
        self.dead = {partner.id for partner in dead}
        self.under_way: Counter[int] = Counter()
        self.most: Counter[int] = Counter()
        self.made: Counter[str] = Counter()
        self.revived = asyncio.Event()

    async def send(self, partner: Partner, call: Call) -> PartnerResponse:
        self.made[call.id] += 1
        self.under_way[partner.id] += 1
        self.most[partner.id] = max(self.most[partner.id], self.under_way[partner.id])
        try:
            if partner.id in self.dead:
                await self.revived.wait()
            return PartnerResponse(Outcome.ACCEPTED, "204")
        finally:
            self.under_way[partner.id] -= 1


def replicas(partners: PartnersFixture, system: PartnerSystem, count: int, clock: Clock = now) -> list[Awaitable[None]]:
    return [run_worker(partners.repository, system, clock, TERMS, asyncio.Event()) for _ in range(count)]


async def test_dead_partners_slow_no_other(partners: PartnersFixture) -> None:
    dead = [await partners.add_partner("http://dead.test", "whsec_AAAA") for _ in range(3)]
    stuck = [await partners.plan_order_call(partner) for _ in range(20) for partner in dead]
    alive = [await partners.add_partner("http://alive.test", "whsec_AAAA") for _ in range(5)]
    calls = [await partners.plan_order_call(partner) for _ in range(6) for partner in alive]
    system = Kitchens(*dead)
    async with beside(*replicas(partners, system, 2)):
        done = await ended(partners, *calls)
        assert {call.state for call in done} == {CallState.DELIVERED}
        assert {(await partners.get_call(call.id)).state for call in stuck} == {CallState.WAITING}
        assert all(system.most[partner.id] == MAX_PER_PARTNER for partner in dead)
        system.revived.set()
        await ended(partners, *stuck)
    assert all(system.most[partner.id] <= MAX_PER_PARTNER for partner in (*dead, *alive))


async def test_several_workers_make_each_call_once(partners: PartnersFixture) -> None:
    kitchens = [await partners.add_partner("http://alive.test", "whsec_AAAA") for _ in range(10)]
    calls = [await partners.plan_order_call(partner) for _ in range(8) for partner in kitchens]
    system = Kitchens()
    async with beside(*replicas(partners, system, 4)):
        await ended(partners, *calls)
    assert system.made == Counter(call.id for call in calls)


async def test_the_call_of_a_worker_that_died_is_made_by_another_after_the_lease(partners: PartnersFixture) -> None:
    partner = await partners.add_partner("http://alive.test", "whsec_AAAA")
    call = await partners.plan_order_call(partner)
    at = now()
    [taken] = await partners.repository.claim_due_calls(5, MAX_PER_PARTNER, at, at + TERMS.lease)
    assert taken.id == call.id
    assert await partners.repository.claim_due_calls(5, MAX_PER_PARTNER, at + TERMS.lease / 2, at + TERMS.lease) == []
    async with beside(*replicas(partners, Kitchens(), 1, lambda: now() + TERMS.lease)):
        [done] = await ended(partners, call)
    assert (done.state, done.attempts, done.leased_until) == (CallState.DELIVERED, 2, None)


class Failing(PartnerSystem):
    """A system that fails until it is told to work."""

    def __init__(self) -> None:
        self.calls = 0
        self.works = False

    async def send(self, partner: Partner, call: Call) -> PartnerResponse:
        self.calls += 1
        return (
            PartnerResponse(Outcome.ACCEPTED, "204") if self.works else PartnerResponse(Outcome.FAILED, "ConnectError")
        )


async def test_a_breaker_leaves_a_partner_alone_and_one_probe_brings_it_back(partners: PartnersFixture) -> None:
    partner = await partners.add_partner("http://dead.test", "whsec_AAAA")
    system, ahead = Failing(), timedelta(0)

    def clock() -> datetime:
        return now() + ahead

    calls = [await partners.plan_order_call(partner) for _ in range(12)]
    terms = CallPolicy((0, 600, 600), 5)
    async with beside(run_worker(partners.repository, system, clock, terms, asyncio.Event())):

        async def tried() -> bool:
            return all([(await partners.get_call(call.id)).tries for call in calls])

        await until(tried)
        # Those under way when the fifth failed are made; the others are left alone.
        assert call_policy.FAILURE_THRESHOLD <= system.calls <= call_policy.FAILURE_THRESHOLD + MAX_PER_PARTNER - 1
        answers = Counter([(await partners.get_call(call.id)).tries[0].answer for call in calls])
        assert answers["left alone after failures in a row"] == len(calls) - system.calls
        system.works, ahead = True, timedelta(seconds=1000)

        async def closed() -> bool:
            async with partners.repository.unit_of_work() as unit:
                return await unit.get_breaker_for_update(partner.id) == CircuitBreaker()

        await until(closed)
        ahead = timedelta(seconds=2000)
        done = await ended(partners, *calls)
    assert {call.state for call in done} == {CallState.DELIVERED}


async def test_the_last_try_is_made_even_if_the_breaker_is_open(partners: PartnersFixture) -> None:
    partner = await partners.add_partner("http://dead.test", "whsec_AAAA")
    async with partners.repository.unit_of_work() as unit:
        await unit.save_breaker(partner.id, CircuitBreaker(9, now() + timedelta(minutes=5)))
    call, system = await partners.plan_order_call(partner), Failing()
    async with beside(*replicas(partners, system, 1)):
        [done] = await ended(partners, call)
    left_alone = "left alone after failures in a row"
    assert [one.answer for one in done.tries] == [left_alone, left_alone, "ConnectError"]
    assert system.calls == 1


async def test_a_cancellation_reaches_the_partner_that_was_told_and_once(
    partners: PartnersFixture, sandbox: Sandbox, http: httpx.Client
) -> None:
    partner = await partners.add_partner(sandbox.url, sandbox.secret)
    call = await partners.plan_order_call(partner)
    async with calling(partners, sandbox) as planned:
        await ended(partners, call)
        fault(http, partner, "error", 1)
        cancellation = await partners.plan_cancellation_call(call.order_id, reason="The customer changed their mind.")
        planned.set()
        await ended(partners, await partners.get_call(cancellation))
    order, cancelled = received(http, partner)
    assert (order["kind"], cancelled["kind"]) == ("order", "cancellation")
    assert (cancelled["webhook_id"], cancelled["times_received"]) == (cancellation, 2)
    assert cancelled["body"] == {"order_id": call.order_id, "reason": "The customer changed their mind."}
    assert await partners.list_pending_event_types(call.order_id) == ["partners.notified"]


async def test_a_cancellation_waits_for_the_try_that_is_under_way(partners: PartnersFixture) -> None:
    partner = await partners.add_partner("http://slow.test", "whsec_AAAA")
    system = Kitchens(partner)
    call = await partners.plan_order_call(partner)
    async with beside(*replicas(partners, system, 2)):

        async def begun() -> bool:
            return system.under_way[partner.id] == 1

        await until(begun)
        cancellation = await partners.plan_cancellation_call(call.order_id)
        at = now()
        assert await partners.repository.claim_due_calls(5, MAX_PER_PARTNER, at, at + TERMS.lease) == []
        system.revived.set()
        [done] = await ended(partners, await partners.get_call(cancellation))
    assert done.state is CallState.DELIVERED
    assert await partners.get_call_states(call.order_id) == {"order": "withdrawn", "cancellation": "delivered"}


@pytest.mark.parametrize("steps", sorted(set(itertools.permutations(["paid", "paid", "cancelled", "cancelled"]))))
async def test_paid_and_cancelled_may_come_in_any_order_and_repeated(
    partners: PartnersFixture, steps: Sequence[str]
) -> None:
    partner = await partners.add_partner("http://alive.test", "whsec_AAAA")
    order_id, paid, cancelled = new_id(), new_id(), new_id()
    for step in steps:
        await (
            partners.plan_order_call(partner, order_id, paid)
            if step == "paid"
            else partners.plan_cancellation_call(order_id, cancelled)
        )
    # Nobody has called the partner yet, so there is nothing to tell any more.
    assert await partners.get_call_states(order_id) == ({"order": "withdrawn"} if steps[0] == "paid" else {})
    system = Kitchens()
    at = now()
    assert await partners.repository.claim_due_calls(5, MAX_PER_PARTNER, at, at + TERMS.lease) == []
    assert system.made == Counter()


async def test_events_become_calls(partners: PartnersFixture, sandbox: Sandbox, http: httpx.Client) -> None:
    partner = await partners.add_partner(sandbox.url, sandbox.secret)
    facts = OrderSnapshot(order_id=new_id(), version=2, customer_id="ada", partner_id=partner.id, at=now())
    paid = OrderPaid(order=facts, payment_id="p1", items=[OrderLine(product_id=1, title="Lemonade", quantity=2)])
    cancelled = OrderCancelled(order=facts, reason="x" * 600)
    paid_id, cancelled_id = new_id(), new_id()

    async def publish(*envelopes: Envelope) -> None:
        async with partners.broker.open_channel() as channel:
            await channel.publish(envelopes)

    async with calling(partners, sandbox) as planned:
        consumer = OrderEventsConsumer(partners.repository, now, "https://edge.test", 0, planned)
        async with beside(consume(partners.broker, consumer)):
            body = ORDER_PAID.encode(paid)
            told = Envelope(paid_id, "/orders", ORDER_PAID.type, facts.order_id, now(), {}, body)
            await publish(told, told)

            async def delivered() -> bool:
                return await partners.get_call_states(facts.order_id) == {"order": "delivered"}

            await until(delivered)
            body = ORDER_CANCELLED.encode(cancelled)
            await publish(Envelope(cancelled_id, "/orders", ORDER_CANCELLED.type, facts.order_id, now(), {}, body))

            async def stopped() -> bool:
                return (await partners.get_call_states(facts.order_id)).get("cancellation") == "delivered"

            await until(stopped)
    order, stop = received(http, partner)
    assert (order["webhook_id"], order["times_received"]) == (paid_id, 1)
    assert order["body"] == {
        "order_id": facts.order_id,
        "items": [{"product_id": 1, "title": "Lemonade", "quantity": 2}],
        "callback_url": f"https://edge.test/api/v1/callbacks/partners/{partner.id}/ready",
    }
    assert (stop["webhook_id"], len(stop["body"]["reason"])) == (cancelled_id, 500)
