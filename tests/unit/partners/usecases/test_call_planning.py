"""Planning of calls about paid and cancelled orders."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from services.partners.domain.call_policy import Attempt, Call, CallKind, CallState
from services.partners.usecases.call_planning import OrderCallPlanner, plan_cancellation_call
from tests.unit.fake_transactions import NOW
from tests.unit.partners.fakes import BOWL, CALL, FakeRepository

CANCELLATION = {"order_id": "o1", "reason": "why not"}


async def cancel(repository: FakeRepository, event_id: str = "e2") -> bool:
    return await plan_cancellation_call(repository, "q", event_id, "o1", CANCELLATION, NOW, 5.0)


async def test_order_call_is_planned_once_per_event() -> None:
    repository = FakeRepository(BOWL)
    planner = OrderCallPlanner(repository)
    planned = [await planner.plan("q", "e1", CALL) for _ in range(2)]
    assert planned == [True, False]
    assert (repository.calls, repository.locked_orders) == ({"c1": CALL}, ["o1"])


async def test_concurrent_calls_are_planned_in_one_transaction() -> None:
    repository = FakeRepository(BOWL)
    planner, other = OrderCallPlanner(repository), replace(CALL, id="c2", order_id="o2")
    events = [("e1", CALL), ("e2", other), ("e1", CALL)]
    assert await asyncio.gather(*(planner.plan("q", event_id, call) for event_id, call in events)) == [True, True, True]
    assert repository.calls == {"c1": CALL, "c2": other}


async def test_cancelled_order_is_not_called() -> None:
    repository = FakeRepository(BOWL)
    assert not await cancel(repository)
    assert not await OrderCallPlanner(repository).plan("q", "e1", CALL)
    assert repository.calls == {}


async def test_untried_call_is_withdrawn_without_cancellation_call() -> None:
    repository = FakeRepository(BOWL, calls=[replace(CALL, attempts=0)])
    assert not await cancel(repository)
    assert [call.state for call in repository.calls.values()] == [CallState.WITHDRAWN]


@pytest.mark.parametrize(
    "call",
    [
        CALL,
        replace(CALL, state=CallState.DELIVERED),
        replace(CALL, state=CallState.FAILED),
        replace(CALL, attempts=0, tries=(Attempt(NOW, "503", 10),)),
    ],
)
async def test_tried_call_is_followed_by_cancellation_call(call: Call) -> None:
    repository = FakeRepository(BOWL, calls=[call])
    assert await cancel(repository)
    assert not await cancel(repository)
    cancellation = repository.calls["e2"]
    assert (cancellation.kind, cancellation.state, cancellation.attempts) == (
        CallKind.CANCELLATION,
        CallState.WAITING,
        0,
    )
    assert cancellation.payload == CANCELLATION
    assert cancellation.next_at == NOW + timedelta(seconds=5)
    expected = CallState.WITHDRAWN if call.state is CallState.WAITING else call.state
    assert repository.calls["c1"].state is expected
