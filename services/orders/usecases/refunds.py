"""Money on its way back: the bank is asked until it answers for good, and the order follows."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from opentelemetry.trace import SpanKind

from services.orders.domain import payments as payment_rules
from services.orders.domain.orders import RefundStatus
from services.orders.domain.payments import Refund
from services.orders.usecases import event_factory
from services.orders.usecases.ports import PaymentSystem, RefundResponse, Repository
from services.runtime.core.clock import Clock
from services.runtime.telemetry import tracing

MAX_CONCURRENT = 16
"""Refunds that one process asks for at the same time."""

LEASE = timedelta(seconds=60)
"""How long a refund that was taken is left to who took it; longer than a bank may take to answer."""

JITTER = 0.2
"""How far a delay may be off, so that refunds that failed together do not come back together."""


async def send_due_refunds(
    repository: Repository, payment_system: PaymentSystem, clock: Clock, retry_delays_s: Sequence[float]
) -> int:
    """Asks for some of the refunds that are due, and returns how many.

    `schedule` holds the seconds before the second, third … attempt; after the last the refund has failed. Several
    processes may do this at once. A process that dies in between leaves the refund to the next after the lease: the
    bank takes each id once, however often it is asked.
    """
    now = clock()
    due = await repository.claim_due_refunds(now, now + LEASE, MAX_CONCURRENT)
    await asyncio.gather(*(_send_traced(repository, payment_system, clock, retry_delays_s, refund) for refund in due))
    return len(due)


async def _send_traced(
    repository: Repository, payment_system: PaymentSystem, clock: Clock, retry_delays_s: Sequence[float], refund: Refund
) -> None:
    about: dict[str, str | int] = {"delivery.order_id": refund.order_id, "delivery.attempt": refund.attempts}
    with tracing.start_span("give money back", SpanKind.CONSUMER, refund.trace, about, link=True):
        await _attempt_refund(repository, payment_system, clock, retry_delays_s, refund)


async def _attempt_refund(
    repository: Repository, payment_system: PaymentSystem, clock: Clock, retry_delays_s: Sequence[float], refund: Refund
) -> None:
    bank = await repository.get_bank(refund.bank_id)
    answer = RefundResponse(False, True, "unknown bank") if bank is None else await payment_system.refund(bank, refund)
    if answer.is_refunded:
        await _complete_refund(repository, replace(refund, status=RefundStatus.REFUNDED), answer.message, clock())
    elif answer.is_final or refund.attempts > len(retry_delays_s):
        await _complete_refund(repository, replace(refund, status=RefundStatus.FAILED), answer.message, clock())
    else:
        delay = retry_delays_s[refund.attempts - 1] * random.SystemRandom().uniform(1 - JITTER, 1 + JITTER)
        await repository.reschedule_refund(refund, clock() + timedelta(seconds=delay), answer.message)


async def _complete_refund(repository: Repository, refund: Refund, response: str, at: datetime) -> None:
    async with repository.unit_of_work() as unit:
        # The order first, as every other use case locks it first.
        order = await unit.get_order_for_update(refund.order_id)
        if not await unit.complete_refund(refund, response):
            return
        customer = None
        if order is not None and order.bank_id == refund.bank_id:
            customer = order.customer_id
            after = payment_rules.apply_refunds(order, await unit.list_refunds(order.id, order.bank_id), at)
            if after is not order:
                await unit.update_order(order, after, f"bank:{refund.bank_id}", f"refund {refund.id} {refund.status}")
        if refund.status is RefundStatus.REFUNDED:
            await unit.publish(event_factory.build_refunded(refund, customer, at))
            return
        await unit.publish(event_factory.build_refund_failed(refund, response, at))
        alert = event_factory.build_refund_alert(refund, response, at)
        if await unit.register_alert(alert.subject, alert.reason, at):
            await unit.publish(alert)
