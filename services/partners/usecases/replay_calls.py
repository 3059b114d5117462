"""Inspection and replay of calls by admins."""

from datetime import datetime

from generated.problems import Reason
from services.partners.domain import call_policy
from services.partners.domain.call_policy import Call, CallFilter, CallKind
from services.partners.usecases.partner_calls import PartnerCallsRepository
from services.runtime.core import pagination
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError
from services.runtime.core.pagination import Page
from services.runtime.core.principal import Principal, require_role


async def list_partner_calls(
    repository: PartnerCallsRepository, principal: Principal, size: int, token: str, call_filter: CallFilter
) -> Page[Call]:
    """Return a page of calls, newest first."""
    require_role(principal, "admin")
    before = pagination.decode_page_token(token, tuple[datetime, str])
    rows = await repository.calls.list_before(before, size + 1, call_filter)
    return pagination.build_page(rows, size, lambda call: (call.created_at.isoformat(), call.id))


async def replay_partner_call(
    repository: PartnerCallsRepository, clock: Clock, principal: Principal, call_id: str
) -> None:
    """Make a call due now and restart its retry schedule; its webhook id stays the same.

    Raises ApiError: PARTNER_CALL_NOT_FOUND, or PARTNER_CALL_CONFLICT if the order has been cancelled.
    """
    require_role(principal, "admin")
    unlocked_call = await repository.calls.get(call_id)
    if unlocked_call is None:
        raise ApiError(Reason.PARTNER_CALL_NOT_FOUND)
    async with repository.unit_of_work() as unit:
        await unit.calls.lock_order(unlocked_call.order_id)
        call = await unit.calls.get_for_update(call_id)
        if call is None:
            raise ApiError(Reason.PARTNER_CALL_NOT_FOUND)
        if call.kind is CallKind.ORDER and await unit.calls.is_cancelled(call.order_id):
            raise ApiError(Reason.PARTNER_CALL_CONFLICT)
        await unit.calls.save(call_policy.reset_for_replay(call, clock()))
