"""What admins see of the calls to partners' systems, and how they make one again."""

from datetime import datetime

from generated.problems import Reason
from services.partners import retries
from services.partners.retries import Call, CallKind, CallState
from services.partners.usecases.partners import admins_only
from services.partners.usecases.ports import Store
from services.runtime import paging
from services.runtime.clock import Clock
from services.runtime.paging import Page
from services.runtime.principal import Principal
from services.runtime.refusal import Refusal


async def list_partner_calls(
    store: Store,
    who: Principal,
    size: int,
    token: str,
    partner_id: int | None,
    order_id: str | None,
    state: CallState | None,
) -> Page[Call]:
    """A page of calls, newest first."""
    admins_only(who)
    before = paging.decode(token, tuple[datetime, str])
    rows = await store.calls(size + 1, before, partner_id, order_id, state)
    return paging.cut(rows, size, lambda call: (call.created_at.isoformat(), call.id))


async def replay_partner_call(store: Store, clock: Clock, who: Principal, call_id: str) -> None:
    """Makes a call again, at once and then by the schedule from its beginning; its webhook id stays.

    Refuses PARTNER_CALL_NOT_FOUND, and PARTNER_CALL_CONFLICT for an order that was cancelled meanwhile.
    """
    admins_only(who)
    known = await store.call(call_id)
    if known is None:
        raise Refusal(Reason.PARTNER_CALL_NOT_FOUND)
    async with store.unit() as unit:
        await unit.lock_order(known.order_id)
        call = await unit.call(call_id)
        if call is None:
            raise Refusal(Reason.PARTNER_CALL_NOT_FOUND)
        if call.kind is CallKind.ORDER and await unit.is_cancelled(call.order_id):
            raise Refusal(Reason.PARTNER_CALL_CONFLICT)
        await unit.put_call(retries.replayed(call, clock()))
