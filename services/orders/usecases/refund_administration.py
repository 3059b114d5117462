"""Refunds for admins: list, retry and settlement by hand, with a record of every action."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from generated.problems import Reason
from services.orders.domain import refund_actions
from services.orders.domain.payments import Refund
from services.orders.domain.refund_actions import RefundAction, RefundActionKind, RefundFilter
from services.orders.usecases.event_factory import REFUND_FAILED, build_refunded, format_refund_subject
from services.orders.usecases.ports import Repository
from services.orders.usecases.refunds import update_refund_totals
from services.runtime.core import pagination
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError
from services.runtime.core.pagination import Page
from services.runtime.core.principal import Principal, require_role


class RefundReport(NamedTuple):
    """Refund with the actions of admins, oldest first."""

    refund: Refund
    actions: Sequence[RefundAction]


async def list_refunds(
    repository: Repository, principal: Principal, size: int, token: str, refund_filter: RefundFilter
) -> Page[RefundReport]:
    """Return a page of refunds, newest first.

    Raises ApiError: FORBIDDEN.
    """
    require_role(principal, "admin")
    before = pagination.decode_page_token(token, tuple[datetime, str])
    refunds = await repository.refunds.list_before(before, size + 1, refund_filter)
    actions = await repository.refunds.list_actions([refund.id for refund in refunds])
    reports = [RefundReport(refund, [each for each in actions if each.refund_id == refund.id]) for refund in refunds]
    return pagination.build_page(reports, size, lambda report: (report.refund.created_at.isoformat(), report.refund.id))


async def retry_refund(repository: Repository, clock: Clock, principal: Principal, refund_id: str) -> RefundReport:
    """Request a failed refund again, or send a requested one now. The bank deduplicates refunds by id.

    Raises ApiError: FORBIDDEN, REFUND_NOT_FOUND, REFUND_CONFLICT.
    """
    now = clock()
    action = RefundAction(refund_id, RefundActionKind.RETRIED, principal.user_id, now)
    return await _change_refund(repository, principal, action, lambda refund: refund_actions.retry(refund, now))


async def settle_refund(
    repository: Repository, clock: Clock, principal: Principal, refund_id: str, note: str
) -> RefundReport:
    """Record that the customer has received the money of a failed refund by other means.

    Raises ApiError: FORBIDDEN, REFUND_NOT_FOUND, REFUND_CONFLICT.
    """
    action = RefundAction(refund_id, RefundActionKind.SETTLED, principal.user_id, clock(), note)
    return await _change_refund(repository, principal, action, refund_actions.settle)


async def _change_refund(
    repository: Repository, principal: Principal, action: RefundAction, change: Callable[[Refund], Refund]
) -> RefundReport:
    require_role(principal, "admin")
    unlocked = await repository.refunds.get(action.refund_id)
    if unlocked is None:
        raise ApiError(Reason.REFUND_NOT_FOUND)
    async with repository.unit_of_work() as unit:
        # Lock the order first, as every other use case does, to avoid deadlocks.
        order = await unit.orders.get_for_update(unlocked.order_id)
        refund = await unit.refunds.get_for_update(action.refund_id)
        if refund is None:
            raise ApiError(Reason.REFUND_NOT_FOUND)
        after = change(refund)
        await unit.refunds.save(after)
        await unit.refunds.add_action(action)
        # If the refund fails again, it raises another alert.
        await unit.clear_alert(format_refund_subject(after), REFUND_FAILED)
        customer_id = await update_refund_totals(unit, order, after, f"admin:{action.actor}", action.at)
        if action.kind is RefundActionKind.SETTLED:
            await unit.publish(build_refunded(after, customer_id, action.at))
    return RefundReport(after, await repository.refunds.list_actions([after.id]))
