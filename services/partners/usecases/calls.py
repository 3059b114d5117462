"""Calls to partners' systems: planned when an order is paid or cancelled, and made until they end."""

import random
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from generated.proto.delivery.events.v1 import PartnerNotified, PartnerUnreachable
from services.partners import retries
from services.partners.domain import Partner
from services.partners.retries import Answer, Call, CallKind, CallState, Verdict
from services.partners.usecases import changes
from services.partners.usecases.ports import CallsUnit, PartnerSystem
from services.runtime.clock import Clock


class Calls(Protocol):
    """Where calls are kept."""

    def unit(self) -> AbstractAsyncContextManager[CallsUnit]:
        """Commits at the end of the block, rolls back when it raises."""

    async def partner(self, partner_id: int) -> Partner | None:
        """The partner, whether it takes orders or not."""


async def plan_order(store: Calls, queue: str, event_id: str, call: Call) -> bool:
    """Writes down that the partner is to be told of an order; False when it is not, or is already."""
    async with store.unit() as unit:
        if not await unit.first_event(queue, event_id):
            return False
        await unit.lock_order(call.order_id)
        if await unit.is_cancelled(call.order_id):
            return False
        await unit.add_call(call)
        return True


async def plan_cancellation(
    store: Calls, queue: str, event_id: str, order_id: str, reason: str | None, at: datetime, first_pause: float
) -> bool:
    """Withdraws what the partner was to be told of an order, and plans to tell that it is cancelled.

    False when the partner cannot have heard of it: it was never called about the order.
    """
    async with store.unit() as unit:
        if not await unit.first_event(queue, event_id):
            return False
        await unit.lock_order(order_id)
        await unit.mark_cancelled(order_id, at)
        told = await unit.order_call(order_id)
        if told is None:
            return False
        if told.state is CallState.WAITING:
            await unit.put_call(replace(told, state=CallState.WITHDRAWN))
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
                next_at=at + timedelta(seconds=first_pause),
                created_at=at,
            )
        )
        return True


async def make_call(
    store: Calls, system: PartnerSystem, clock: Clock, schedule: Sequence[float], patience: timedelta, call: Call
) -> None:
    """One try. The partner's system knows repeats by the call's id, so a crash after it answered does no harm.

    `patience` is how long others leave a partner alone whose breaker this try probes.
    """
    began = clock()
    answer = await _ask(store, system, began, schedule, patience, call)
    now = clock()
    async with store.unit() as unit:
        before = await unit.call(call.id)
        if before is None:
            return
        chance = random.SystemRandom().random()
        after = retries.after_try(before, call.attempts, answer, now, now - began, schedule, chance)
        await unit.put_call(after)
        breaker = await unit.breaker(call.partner_id)
        if (answered := retries.after_answer(breaker, answer.verdict, now)) != breaker:
            await unit.put_breaker(call.partner_id, answered)
        if answer.verdict is Verdict.GONE:
            await _switch_off(unit, call.partner_id, now)
        if call.kind is CallKind.ORDER and after.state is not before.state:
            if after.state is CallState.DELIVERED:
                await unit.publish(PartnerNotified(order_id=call.order_id, partner_id=call.partner_id, at=now))
            elif after.state is CallState.FAILED:
                await unit.publish(
                    PartnerUnreachable(order_id=call.order_id, partner_id=call.partner_id, reason=answer.words, at=now)
                )


async def _ask(
    store: Calls, system: PartnerSystem, now: datetime, schedule: Sequence[float], patience: timedelta, call: Call
) -> Answer:
    partner = await store.partner(call.partner_id)
    if partner is None:
        return Answer(Verdict.REFUSED, "no such partner")
    if partner.gone:
        return Answer(Verdict.GONE, "410, said before")
    if call.attempts > len(schedule):
        # Workers died over every try; this one is not made, only written down.
        return Answer(Verdict.FAILED, "given up")
    async with store.unit() as unit:
        breaker = await unit.breaker(partner.id)
        admitted = retries.admit(breaker, now, patience)
        if admitted is not None and admitted is not breaker:
            await unit.put_breaker(partner.id, admitted)
    # Nobody's order is given up on a breaker's word alone: the last try is always made.
    if admitted is None and call.attempts < len(schedule):
        return Answer(Verdict.LEFT_ALONE, "left alone after failures in a row")
    return await system.send(partner, call)


async def _switch_off(unit: CallsUnit, partner_id: int, now: datetime) -> None:
    partner = await unit.partner(partner_id)
    if partner is None or partner.gone:
        return
    await unit.put_partner(replace(partner, gone=True, enabled=False, version=partner.version + 1))
    await unit.hurry_calls(partner_id, now)
    if partner.open:
        await unit.publish(changes.of_partner(partner_id, now))
