"""Inspection and replay of calls by admins."""

from dataclasses import replace
from datetime import timedelta

import pytest

from generated.problems import Reason
from services.partners.domain.call_policy import CallFilter, CallKind, CallState
from services.partners.usecases import replay_calls
from tests.unit.fake_transactions import NOW, raises_reason
from tests.unit.partners.fakes import ADA, ADMIN, CALL, FakeRepository

FAILED_CALL = replace(CALL, state=CallState.FAILED, attempts=3, next_at=NOW - timedelta(days=1))


@pytest.mark.parametrize("state", CallState)
async def test_replayed_call_is_due_with_whole_schedule(state: CallState) -> None:
    repository = FakeRepository(calls=[replace(FAILED_CALL, state=state)])
    await replay_calls.replay_partner_call(repository, repository.clock, ADMIN, "c1")
    assert repository.calls["c1"] == replace(CALL, attempts=0)
    assert repository.locked_orders == ["o1"]


async def test_leased_call_is_not_changed() -> None:
    call = replace(CALL, leased_until=NOW + timedelta(microseconds=1))
    repository = FakeRepository(calls=[call])
    await replay_calls.replay_partner_call(repository, repository.clock, ADMIN, "c1")
    assert repository.calls["c1"] == call


async def test_only_cancellation_of_cancelled_order_is_replayed() -> None:
    cancellation = replace(FAILED_CALL, id="c2", kind=CallKind.CANCELLATION)
    repository = FakeRepository(calls=[FAILED_CALL, cancellation])
    repository.cancelled_orders.add("o1")
    with raises_reason(Reason.PARTNER_CALL_CONFLICT):
        await replay_calls.replay_partner_call(repository, repository.clock, ADMIN, "c1")
    await replay_calls.replay_partner_call(repository, repository.clock, ADMIN, "c2")
    assert [call.state for call in repository.calls.values()] == [CallState.FAILED, CallState.WAITING]


async def test_unknown_call_raises() -> None:
    repository = FakeRepository()
    with raises_reason(Reason.PARTNER_CALL_NOT_FOUND):
        await replay_calls.replay_partner_call(repository, repository.clock, ADMIN, "c1")


async def test_calls_require_admin_role() -> None:
    repository = FakeRepository(calls=[FAILED_CALL])
    with raises_reason(Reason.FORBIDDEN):
        await replay_calls.replay_partner_call(repository, repository.clock, ADA, "c1")
    with raises_reason(Reason.FORBIDDEN):
        await replay_calls.list_partner_calls(repository, ADA, 10, "", CallFilter())
    assert repository.calls == {"c1": FAILED_CALL}


async def test_calls_are_listed_newest_first_and_filtered() -> None:
    calls = [
        replace(CALL, id=f"c{index}", partner_id=index % 2, created_at=NOW + timedelta(seconds=index // 2))
        for index in range(5)
    ]
    repository = FakeRepository(calls=calls)
    listed, token = [], ""
    while token is not None:
        call_filter = CallFilter(order_id="o1", state=CallState.WAITING)
        page = await replay_calls.list_partner_calls(repository, ADMIN, 2, token, call_filter)
        listed += [call.id for call in page.items]
        token = page.next_page_token
    assert listed == ["c4", "c3", "c2", "c1", "c0"]
    page = await replay_calls.list_partner_calls(repository, ADMIN, 10, "", CallFilter(partner_id=1))
    assert [call.id for call in page.items] == ["c3", "c1"]
