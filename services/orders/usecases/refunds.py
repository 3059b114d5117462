"""Money on its way back: the bank is asked until it answers for good, and the order follows."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from opentelemetry.trace import SpanKind

from services.orders import facts, money
from services.orders.domain import RefundStatus
from services.orders.money import Refund
from services.orders.usecases.ports import Answer, PaymentSystem, Store
from services.runtime import tracing
from services.runtime.clock import Clock

AT_ONCE = 16
"""Refunds that one process asks for at the same time."""

LEASE = timedelta(seconds=60)
"""How long a refund that was taken is left to who took it; longer than a bank may take to answer."""

JITTER = 0.2
"""How far a delay may be off, so that refunds that failed together do not come back together."""


async def send_refunds(store: Store, banks: PaymentSystem, clock: Clock, schedule: Sequence[float]) -> int:
    """Asks for some of the refunds that are due, and returns how many.

    `schedule` holds the seconds before the second, third … attempt; after the last the refund has failed. Several
    processes may do this at once. A process that dies in between leaves the refund to the next after the lease: the
    bank takes each id once, however often it is asked.
    """
    now = clock()
    due = await store.due_refunds(now, now + LEASE, AT_ONCE)
    await asyncio.gather(*(_send(store, banks, clock, schedule, refund) for refund in due))
    return len(due)


async def _send(store: Store, banks: PaymentSystem, clock: Clock, schedule: Sequence[float], refund: Refund) -> None:
    about: dict[str, str | int] = {"delivery.order_id": refund.order_id, "delivery.attempt": refund.attempts}
    with tracing.span("give money back", SpanKind.CONSUMER, refund.trace, about, link=True):
        await _try(store, banks, clock, schedule, refund)


async def _try(store: Store, banks: PaymentSystem, clock: Clock, schedule: Sequence[float], refund: Refund) -> None:
    bank = await store.bank(refund.bank_id)
    answer = Answer(False, True, "unknown bank") if bank is None else await banks.refund(bank, refund)
    if answer.done:
        await _end(store, replace(refund, status=RefundStatus.REFUNDED), answer.said, clock())
    elif answer.final or refund.attempts > len(schedule):
        await _end(store, replace(refund, status=RefundStatus.FAILED), answer.said, clock())
    else:
        delay = schedule[refund.attempts - 1] * random.SystemRandom().uniform(1 - JITTER, 1 + JITTER)
        await store.postpone_refund(refund, clock() + timedelta(seconds=delay), answer.said)


async def _end(store: Store, refund: Refund, said: str, at: datetime) -> None:
    async with store.unit() as unit:
        # The order first, as every other use case locks it first.
        order = await unit.order(refund.order_id)
        if not await unit.end_refund(refund, said):
            return
        customer = None
        if order is not None and order.bank_id == refund.bank_id:
            customer = order.customer_id
            after = money.follow(order, await unit.refunds(order.id, order.bank_id), at)
            if after is not order:
                await unit.change_order(order, after, f"bank:{refund.bank_id}", f"refund {refund.id} {refund.status}")
        if refund.status is RefundStatus.REFUNDED:
            await unit.publish(facts.refunded(refund, customer, at))
            return
        await unit.publish(facts.refund_failed(refund, said, at))
        alert = facts.refund_alert(refund, said, at)
        if await unit.alert_once(alert.subject, alert.reason, at):
            await unit.publish(alert)
