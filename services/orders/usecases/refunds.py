"""Refunds: requests to the banks, with retries, and their result."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from services.orders.domain.orders import Bank, Order, RefundStatus
from services.orders.domain.payments import Refund, RefundResponse, apply_refunds
from services.orders.usecases.event_factory import build_refund_alert, build_refund_failed, build_refunded
from services.orders.usecases.ports import Repository, UnitOfWork
from services.runtime.core import backoff
from services.runtime.core.clock import Clock


class RefundQueue(Protocol):
    """Queue of due refunds."""

    async def claim_due(self, size: int, now: datetime, lease_until: datetime) -> Sequence[Refund]:
        """Lease at most `size` due refunds until `lease_until` and count one more attempt for each."""

    async def reschedule(self, refund: Refund, not_before: datetime, response: str) -> None:
        """Schedule the next attempt at a refund, unless another process has claimed it since."""


class PaymentSystem(Protocol):
    """Banks' refund API."""

    async def refund(self, bank: Bank, refund: Refund) -> RefundResponse:
        """Send one refund request. Bank and network errors are returned, not raised."""


async def send_refund(
    queue: RefundQueue,
    repository: Repository,
    payment_system: PaymentSystem,
    clock: Clock,
    retry_delays_s: Sequence[float],
    refund: Refund,
) -> datetime | None:
    """Send a claimed refund to its bank and record the result. Return the time of the next attempt, if there is one.

    `retry_delays_s` holds the seconds before the second, third … attempt; after the last attempt the refund has failed.
    If the process crashes, the refund is sent again after its lease has expired: banks deduplicate refunds by id.
    """
    bank = await repository.banks.get(refund.bank_id)
    if bank is None:
        response = RefundResponse(is_refunded=False, is_final=True, message="unknown bank")
    elif refund.attempts > len(retry_delays_s) + 1:
        # Workers crashed during the last attempts, so the refund fails without another attempt.
        response = RefundResponse(is_refunded=False, is_final=True, message="attempts exhausted")
    else:
        response = await payment_system.refund(bank, refund)
    return await _record_response(queue, repository, clock, retry_delays_s, refund, response)


async def record_refund_error(
    queue: RefundQueue, repository: Repository, clock: Clock, retry_delays_s: Sequence[float], refund: Refund
) -> None:
    """Record an attempt that ended in an unexpected error as a failed one."""
    response = RefundResponse(is_refunded=False, is_final=False, message="internal error")
    await _record_response(queue, repository, clock, retry_delays_s, refund, response)


async def _record_response(
    queue: RefundQueue,
    repository: Repository,
    clock: Clock,
    retry_delays_s: Sequence[float],
    refund: Refund,
    response: RefundResponse,
) -> datetime | None:
    if response.is_refunded:
        await _complete_refund(repository, replace(refund, status=RefundStatus.REFUNDED), response.message, clock())
    elif response.is_final or refund.attempts > len(retry_delays_s):
        await _complete_refund(repository, replace(refund, status=RefundStatus.FAILED), response.message, clock())
    else:
        delay_s = backoff.apply_jitter(retry_delays_s[refund.attempts - 1])
        next_at = clock() + timedelta(seconds=delay_s)
        await queue.reschedule(refund, next_at, response.message)
        return next_at
    return None


async def update_refund_totals(
    unit: UnitOfWork, order: Order | None, refund: Refund, actor: str, at: datetime
) -> str | None:
    """Update the order of a changed refund, if it exists at its bank; return the customer's id."""
    if order is None or order.bank_id != refund.bank_id:
        return None
    after = apply_refunds(order, await unit.refunds.list_by_order(order.id, order.bank_id), at)
    if after is not order:
        await unit.orders.update(order, after, actor, f"refund {refund.id} {refund.status}")
    return order.customer_id


async def _complete_refund(repository: Repository, refund: Refund, response: str, at: datetime) -> None:
    async with repository.unit_of_work() as unit:
        # Lock the order first, as every other use case does, to avoid deadlocks.
        order = await unit.orders.get_for_update(refund.order_id)
        if not await unit.refunds.complete(refund, response):
            return
        customer_id = await update_refund_totals(unit, order, refund, f"bank:{refund.bank_id}", at)
        if refund.status is RefundStatus.REFUNDED:
            await unit.publish(build_refunded(refund, customer_id, at))
            return
        await unit.publish(build_refund_failed(refund, response, at))
        alert = build_refund_alert(refund, response, at)
        if await unit.register_alert(alert.subject, alert.reason, at):
            await unit.publish(alert)
