"""Refunds: requests to the banks, with retries, and their result."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from services.orders.domain.orders import Bank, RefundStatus
from services.orders.domain.payments import Refund, RefundResponse, apply_refunds
from services.orders.usecases.event_factory import build_refund_alert, build_refund_failed, build_refunded
from services.orders.usecases.ports import Repository
from services.runtime.core import backoff
from services.runtime.core.clock import Clock

MAX_CONCURRENT = 16
"""Refunds that one process sends concurrently."""

LEASE = timedelta(seconds=60)
"""Lease of a claimed refund; longer than the largest permitted bank timeout."""


type RefundTracer = Callable[[Refund], AbstractContextManager[object]]
"""Context manager that traces one attempt at a refund, including the recording of its result."""


class RefundQueue(Protocol):
    """Queue of due refunds."""

    async def claim_due(self, now: datetime, lease_until: datetime, size: int) -> Sequence[Refund]:
        """Lease due refunds exclusively until `lease_until` and count one more attempt for each."""

    async def reschedule(self, refund: Refund, not_before: datetime, response: str) -> None:
        """Schedule the next attempt at a refund, unless another process has claimed it since."""


class PaymentSystem(Protocol):
    """Banks' refund API."""

    async def refund(self, bank: Bank, refund: Refund) -> RefundResponse:
        """Send one refund request. Bank and network errors are returned, not raised."""


async def send_due_refunds(
    queue: RefundQueue,
    repository: Repository,
    payment_system: PaymentSystem,
    clock: Clock,
    retry_delays_s: Sequence[float],
    trace_refund: RefundTracer,
) -> int:
    """Send a batch of due refunds to their banks and return its size.

    `retry_delays_s` holds the seconds before the second, third … attempt; after the last attempt the refund has failed.
    Several processes may do this concurrently. If a process dies, another one retries after the lease has expired:
    banks deduplicate refunds by id.
    """
    now = clock()
    refunds = await queue.claim_due(now, now + LEASE, MAX_CONCURRENT)

    async def attempt_traced(refund: Refund) -> None:
        with trace_refund(refund):
            await _attempt_refund(queue, repository, payment_system, clock, retry_delays_s, refund)

    await asyncio.gather(*(attempt_traced(refund) for refund in refunds))
    return len(refunds)


async def _attempt_refund(
    queue: RefundQueue,
    repository: Repository,
    payment_system: PaymentSystem,
    clock: Clock,
    retry_delays_s: Sequence[float],
    refund: Refund,
) -> None:
    bank = await repository.banks.get(refund.bank_id)
    if bank is None:
        response = RefundResponse(is_refunded=False, is_final=True, message="unknown bank")
    else:
        response = await payment_system.refund(bank, refund)
    if response.is_refunded:
        await _complete_refund(repository, replace(refund, status=RefundStatus.REFUNDED), response.message, clock())
    elif response.is_final or refund.attempts > len(retry_delays_s):
        await _complete_refund(repository, replace(refund, status=RefundStatus.FAILED), response.message, clock())
    else:
        delay_s = backoff.apply_jitter(retry_delays_s[refund.attempts - 1])
        await queue.reschedule(refund, clock() + timedelta(seconds=delay_s), response.message)


async def _complete_refund(repository: Repository, refund: Refund, response: str, at: datetime) -> None:
    async with repository.unit_of_work() as unit:
        # Lock the order first, as every other use case does, to avoid deadlocks.
        order = await unit.orders.get_for_update(refund.order_id)
        if not await unit.refunds.complete(refund, response):
            return
        customer_id = None
        if order is not None and order.bank_id == refund.bank_id:
            customer_id = order.customer_id
            after = apply_refunds(order, await unit.refunds.list_by_order(order.id, order.bank_id), at)
            if after is not order:
                await unit.orders.update(order, after, f"bank:{refund.bank_id}", f"refund {refund.id} {refund.status}")
        if refund.status is RefundStatus.REFUNDED:
            await unit.publish(build_refunded(refund, customer_id, at))
            return
        await unit.publish(build_refund_failed(refund, response, at))
        alert = build_refund_alert(refund, response, at)
        if await unit.register_alert(alert.subject, alert.reason, at):
            await unit.publish(alert)
