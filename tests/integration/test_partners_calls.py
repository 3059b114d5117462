"""Calls to partners through the gRPC servicer, with real servers."""

from datetime import timedelta
from typing import Any

import msgspec

from generated.problems import Reason
from generated.proto.delivery.partners import v1
from services.partners import usecases
from services.partners.domain.call_policy import Attempt, CallState, Outcome, PartnerResponse
from services.partners.entrypoints.rpc import PartnersRpc
from services.runtime.core.clock import now
from services.runtime.core.ids import generate_id
from tests.integration.fixtures.partners import PartnersFixture
from tests.integration.fixtures.partners_rpc import (
    ADMIN,
    get_error_reason,
)


async def test_calls_are_listed_newest_first_and_filtered(partners: PartnersFixture, partners_rpc: PartnersRpc) -> None:
    one, two = [await partners.add_partner("http://alive.test", "whsec_AAAA") for _ in range(2)]
    calls = [await partners.plan_order_call(partner) for partner in (one, two, one)]
    at = now()
    await partners.due_calls.claim_due_calls(1, 1, at, at + timedelta(seconds=1))
    first = v1.ListPartnerCallsRequest(page_size=2)
    page = await partners_rpc.list_partner_calls(first, ADMIN)
    rest = await partners_rpc.list_partner_calls(
        v1.ListPartnerCallsRequest(page_size=2, page_token=page.next_page_token or ""), ADMIN
    )
    assert [call.id for call in (*page.items, *rest.items)] == [call.id for call in reversed(calls)]
    assert rest.next_page_token is None
    for filters, call_ids in (
        ({"partner_id": one.id}, [calls[2].id, calls[0].id]),
        ({"order_id": calls[1].order_id}, [calls[1].id]),
        ({"status": v1.PartnerCallStatus.FAILED}, []),
    ):
        found = await partners_rpc.list_partner_calls(v1.ListPartnerCallsRequest(page_size=9, **filters), ADMIN)
        assert [call.id for call in found.items] == call_ids
    [shown] = (
        await partners_rpc.list_partner_calls(v1.ListPartnerCallsRequest(9, "", None, calls[1].order_id), ADMIN)
    ).items
    assert msgspec.json.decode(shown.body) == calls[1].payload
    assert (shown.kind, shown.status) == (v1.PartnerCallKind.ORDER, v1.PartnerCallStatus.WAITING)


async def test_only_old_finished_calls_are_deleted(partners: PartnersFixture) -> None:
    partner = await partners.add_partner("http://alive.test", "whsec_AAAA")
    old, waiting, new = [await partners.plan_order_call(partner) for _ in range(3)]
    for call in (old, new):
        await partners.execute_sql("UPDATE partner_calls SET state = 'delivered' WHERE id = %(id)s", id=call.id)
    await partners.plan_cancellation_call(old.order_id)
    for statement in (
        "UPDATE partner_calls SET created_at = created_at - interval '91 days' WHERE order_id = ANY(%(ids)s)",
        "UPDATE cancelled_orders SET at = at - interval '91 days' WHERE order_id = ANY(%(ids)s)",
    ):
        await partners.execute_sql(statement, ids=[old.order_id, waiting.order_id])
    while await partners.due_calls.delete_old_calls(now() - timedelta(days=90)):
        pass
    remaining = await partners.execute_sql("SELECT order_id FROM partner_calls WHERE kind = 'order'")
    assert {row["order_id"] for row in remaining} == {waiting.order_id, new.order_id}
    marks = "SELECT 1 FROM cancelled_orders WHERE order_id = %(id)s"
    assert await partners.execute_sql(marks, id=old.order_id) == []


class StubPartnerSystem:
    """A partner system that responds with `outcome` and records the ids of calls."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.outcome = Outcome.REJECTED

    async def send(self, partner: Any, call: Any) -> PartnerResponse:
        self.ids.append(call.id)
        return PartnerResponse(self.outcome, str(self.outcome))


async def make_due_calls(partners: PartnersFixture, system: StubPartnerSystem) -> None:
    at = now()
    for call in await partners.due_calls.claim_due_calls(9, 4, at, at + timedelta(seconds=1)):
        await usecases.make_call(partners.repository, system, now, (0, 0), timedelta(seconds=1), call)


async def test_replay_sends_call_with_same_id(partners: PartnersFixture, partners_rpc: PartnersRpc) -> None:
    call = await partners.plan_order_call(await partners.add_partner("http://alive.test", "whsec_AAAA"))
    system = StubPartnerSystem()
    await make_due_calls(partners, system)
    assert (await partners.get_call(call.id)).state is CallState.FAILED
    system.outcome = Outcome.ACCEPTED
    due_count = partners.due_count
    await partners_rpc.replay_partner_call(v1.ReplayPartnerCallRequest(call_id=call.id), ADMIN)
    assert partners.due_count == due_count + 1, "the worker would find the call at its next poll"
    await make_due_calls(partners, system)
    done = await partners.get_call(call.id)
    assert (done.state, done.attempts, system.ids) == (CallState.DELIVERED, 1, [call.id, call.id])
    assert [type(attempt) for attempt in done.tries] == [Attempt, Attempt]
    assert await partners.list_pending_event_types(call.order_id) == ["partners.unreachable", "partners.notified"]


async def test_replay_of_cancelled_order_is_rejected(partners: PartnersFixture, partners_rpc: PartnersRpc) -> None:
    call = await partners.plan_order_call(await partners.add_partner("http://alive.test", "whsec_AAAA"))
    system = StubPartnerSystem()
    await make_due_calls(partners, system)
    cancellation = await partners.plan_cancellation_call(call.order_id)
    replay = partners_rpc.replay_partner_call(v1.ReplayPartnerCallRequest(call_id=call.id), ADMIN)
    assert await get_error_reason(replay) is Reason.PARTNER_CALL_CONFLICT
    await partners_rpc.replay_partner_call(v1.ReplayPartnerCallRequest(call_id=cancellation), ADMIN)
    unknown = partners_rpc.replay_partner_call(v1.ReplayPartnerCallRequest(call_id=generate_id()), ADMIN)
    assert await get_error_reason(unknown) is Reason.PARTNER_CALL_NOT_FOUND
