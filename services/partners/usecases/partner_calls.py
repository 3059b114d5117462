"""Calls to partners' systems: planned when an order is paid or cancelled, and made until they end."""

import random
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from generated.proto.delivery.events.v1 import PartnerNotified, PartnerUnreachable
from services.partners.domain import call_policy
from services.partners.domain.call_policy import Call, CallKind, CallState, Outcome, PartnerResponse
from services.partners.domain.partners import Partner
from services.partners.usecases import catalog_events
from services.partners.usecases.ports import CallUnitOfWork, PartnerSystem
from services.runtime.core.clock import Clock


class CallRepository(Protocol):
    """Where calls are kept."""

    def unit_of_work(self) -> AbstractAsyncContextManager[CallUnitOfWork]:
        """Commits at the end of the block, rolls back when it raises."""

    async def get_partner(self, partner_id: int) -> Partner | None:
        """The partner, whether it takes orders or not."""


async def plan_order_call(repository: CallRepository, queue: str, event_id: str, call: Call) -> bool:
    """Writes down that the partner is to be told of an order; False when it is not, or is already."""
    async with repository.unit_of_work() as unit:
        if not await unit.mark_event_processed(queue, event_id):
            return False
        await unit.lock_order(call.order_id)
        if await unit.is_cancelled(call.order_id):
            return False
        await unit.add_call(call)
        return True


async def plan_cancellation_call(
    repository: CallRepository,
    queue: str,
    event_id: str,
    order_id: str,
    reason: str | None,
    at: datetime,
    initial_delay_s: float,
) -> bool:
    """Withdraws what the partner was to be told of an order, and plans to tell that it is cancelled.

    False when the partner cannot have heard of it: it was never called about the order.
    """
    async with repository.unit_of_work() as unit:
        if not await unit.mark_event_processed(queue, event_id):
            return False
        await unit.lock_order(order_id)
        await unit.mark_cancelled(order_id, at)
        told = await unit.get_order_call_for_update(order_id)
        if told is None:
            return False
        if told.state is CallState.WAITING:
            await unit.save_call(replace(told, state=CallState.WITHDRAWN))
        if told.attempts == 0 and not told.tries:
            return False
        payload = {"order_id": order_id} | ({"reason": reason} if reason else {})
        await unit.add_call(
            Call(
                id=event_id,
                partner_id=told.partner_id,
                order_id=order_id,
                kind=CallKind.CANCELLATION,
                payload=payload,
                trace=told.trace,
                state=CallState.WAITING,
                attempts=0,
                next_at=at + timedelta(seconds=initial_delay_s),
                created_at=at,
            )
        )
        return True


async def make_call(
    repository: CallRepository,
    system: PartnerSystem,
    clock: Clock,
    retry_delays_s: Sequence[float],
    probe_timeout: timedelta,
    call: Call,
) -> None:
    """One try. The partner's system knows repeats by the call's id, so a crash after it answered does no harm.

    `patience` is how long others leave a partner alone whose breaker this try probes.
    """
    began = clock()
    answer = await _send(repository, system, began, retry_delays_s, probe_timeout, call)
    now = clock()
    async with repository.unit_of_work() as unit:
        before = await unit.get_call_for_update(call.id)
        if before is None:
            return
        chance = random.SystemRandom().random()
        after = call_policy.apply_attempt(before, call.attempts, answer, now, now - began, retry_delays_s, chance)
        await unit.save_call(after)
        breaker = await unit.get_breaker_for_update(call.partner_id)
        if (answered := call_policy.record_result(breaker, answer.outcome, now)) != breaker:
            await unit.save_breaker(call.partner_id, answered)
        if answer.outcome is Outcome.GONE:
            await _disable_partner(unit, call.partner_id, now)
        if call.kind is CallKind.ORDER and after.state is not before.state:
            if after.state is CallState.DELIVERED:
                await unit.publish(PartnerNotified(order_id=call.order_id, partner_id=call.partner_id, at=now))
            elif after.state is CallState.FAILED:
                await unit.publish(
                    PartnerUnreachable(
                        order_id=call.order_id, partner_id=call.partner_id, reason=answer.summary, at=now
                    )
                )


async def _send(
    repository: CallRepository,
    system: PartnerSystem,
    now: datetime,
    retry_delays_s: Sequence[float],
    probe_timeout: timedelta,
    call: Call,
) -> PartnerResponse:
    partner = await repository.get_partner(call.partner_id)
    if partner is None:
        return PartnerResponse(Outcome.REJECTED, "no such partner")
    if partner.gone:
        return PartnerResponse(Outcome.GONE, "410, said before")
    if call.attempts > len(retry_delays_s):
        # Workers died over every try; this one is not made, only written down.
        return PartnerResponse(Outcome.FAILED, "given up")
    async with repository.unit_of_work() as unit:
        breaker = await unit.get_breaker_for_update(partner.id)
        admitted = call_policy.try_acquire(breaker, now, probe_timeout)
        if admitted is not None and admitted is not breaker:
            await unit.save_breaker(partner.id, admitted)
    # Nobody's order is given up on a breaker's word alone: the last try is always made.
    if admitted is None and call.attempts < len(retry_delays_s):
        return PartnerResponse(Outcome.BREAKER_OPEN, "left alone after failures in a row")
    return await system.send(partner, call)


async def _disable_partner(unit: CallUnitOfWork, partner_id: int, now: datetime) -> None:
    partner = await unit.get_partner_for_update(partner_id)
    if partner is None or partner.gone:
        return
    await unit.save_partner(replace(partner, gone=True, enabled=False, version=partner.version + 1))
    await unit.make_calls_due(partner_id, now)
    if partner.is_open:
        await unit.publish(catalog_events.partner_changed_event(partner_id, now))
