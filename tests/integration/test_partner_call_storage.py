"""Planned calls, their targets and their accepted attempts in PostgreSQL: batches, and concurrent changes.

Modules: services/partners/adapters/postgres/accepted_calls.py, services/partners/adapters/postgres/circuit_breakers.py.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from generated.proto.delivery.events.v1 import PartnerNotified
from services.partners.domain.call_policy import MAX_STORED_ATTEMPTS, Attempt, Call, CallState
from services.partners.domain.partners import Partner
from services.runtime.concurrency.circuit_breaker import CircuitBreaker
from services.runtime.core.clock import now
from services.runtime.core.ids import generate_id
from tests.integration.fixtures.partners import PartnersFixture

LEASE = timedelta(seconds=20)


@pytest.fixture
async def partner(partners: PartnersFixture) -> Partner:
    return await partners.add_partner("http://alive.test", "whsec_AAAA")


async def claim(partners: PartnersFixture, *planned: Call) -> Sequence[Call]:
    """Lease the planned calls, in their order."""
    at = now()
    claimed = {call.id: call for call in await partners.due_calls.claim_due_calls(100, 100, at, at + LEASE)}
    return [claimed[call.id] for call in planned]


async def record(partners: PartnersFixture, call: Call) -> bool:
    event = PartnerNotified(order_id=call.order_id, partner_id=call.partner_id, at=now())
    return await partners.repository.accepted_calls.record(call, Attempt(now(), "204", 5), event)


async def test_accepted_calls_are_delivered_and_published_once(partners: PartnersFixture, partner: Partner) -> None:
    calls = await claim(partners, *[await partners.plan_order_call(partner) for _ in range(3)])
    assert await asyncio.gather(*(record(partners, call) for call in calls)) == [True] * 3
    assert await asyncio.gather(*(record(partners, call) for call in calls)) == [False] * 3
    for call in calls:
        stored = await partners.get_call(call.id)
        assert (stored.state, stored.leased_until) == (CallState.DELIVERED, None)
        assert [(attempt.answer, attempt.took_ms) for attempt in stored.tries] == [("204", 5)]
        assert await partners.list_pending_event_types(call.order_id) == ["partners.notified"]


async def test_accepted_attempt_is_added_to_stored_ones(partners: PartnersFixture, partner: Partner) -> None:
    [call] = await claim(partners, await partners.plan_order_call(partner))
    async with partners.repository.unit_of_work() as unit:
        await unit.calls.save(replace(call, tries=(Attempt(now(), "503", 1),)))
    assert await record(partners, call)
    assert [attempt.answer for attempt in (await partners.get_call(call.id)).tries] == ["503", "204"]


@pytest.mark.parametrize(
    "change",
    [
        {"attempts": 2},
        {"state": CallState.WITHDRAWN},
        {"tries": (Attempt(now(), "503", 1),) * MAX_STORED_ATTEMPTS},
    ],
)
async def test_changed_call_is_not_delivered(
    partners: PartnersFixture, partner: Partner, change: dict[str, object]
) -> None:
    changed, unchanged = await claim(partners, *[await partners.plan_order_call(partner) for _ in range(2)])
    stored = replace(changed, **change)  # type: ignore[arg-type]
    async with partners.repository.unit_of_work() as unit:
        await unit.calls.save(stored)
    assert await asyncio.gather(*(record(partners, call) for call in (changed, unchanged))) == [False, True]
    assert await partners.get_call(changed.id) == stored
    assert await partners.list_pending_event_types(changed.order_id) == []


async def test_call_of_partner_with_failures_is_not_delivered(partners: PartnersFixture, partner: Partner) -> None:
    [call] = await claim(partners, await partners.plan_order_call(partner))
    async with partners.repository.unit_of_work() as unit:
        await unit.breakers.save(partner.id, CircuitBreaker(1))
    assert not await record(partners, call)
    assert await partners.get_call(call.id) == call


async def test_targets_have_their_circuit_breakers(partners: PartnersFixture, partner: Partner) -> None:
    broken, breaker = await partners.add_partner("http://dead.test", "whsec_AAAA"), CircuitBreaker(7, now())
    async with partners.repository.unit_of_work() as unit:
        await unit.breakers.save(broken.id, breaker)
    ids = [partner.id, broken.id, partner.id, 0]
    targets = await asyncio.gather(*(partners.repository.call_targets.get(each) for each in ids))
    assert targets == [(partner, CircuitBreaker()), (broken, breaker), (partner, CircuitBreaker()), None]


async def test_events_of_one_batch_are_planned_independently(partners: PartnersFixture, partner: Partner) -> None:
    cancelled, paid, repeated = generate_id(), generate_id(), generate_id()
    await partners.plan_cancellation_call(cancelled)
    for _ in range(2):
        await asyncio.gather(
            *(partners.plan_order_call(partner, order, order) for order in (cancelled, paid, repeated))
        )
    states = [await partners.get_call_states(order) for order in (cancelled, paid, repeated)]
    assert states == [{}, {"order": "waiting"}, {"order": "waiting"}]


async def test_call_is_planned_after_a_running_cancellation(partners: PartnersFixture, partner: Partner) -> None:
    order_id = generate_id()
    async with partners.repository.unit_of_work() as unit:
        await unit.calls.lock_order(order_id)
        planning = asyncio.create_task(partners.plan_order_call(partner, order_id))
        _, waiting = await asyncio.wait([planning], timeout=0.2)
        await unit.calls.mark_cancelled(order_id, now())
    await planning
    assert waiting
    assert await partners.get_call_states(order_id) == {}
