"""Calls to partner systems: planning after an order is paid or cancelled, and attempts."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from generated.proto.delivery.events.v1 import PartnerNotified, PartnerUnreachable
from services.partners.domain import call_policy
from services.partners.domain.call_policy import Call, CallFilter, CallKind, CallState, Outcome, PartnerResponse
from services.partners.domain.partners import Partner
from services.partners.usecases import catalog_events
from services.partners.usecases.ports import Repository, UnitOfWork
from services.runtime.concurrency.circuit_breaker import CircuitBreaker
from services.runtime.core import backoff
from services.runtime.core.clock import Clock
from services.runtime.core.repository import EntityRepository, TimeSortedEntityReader


class DueCallsQueue(Protocol):
    """Queue of due calls."""

    async def claim_due_calls(
        self, size: int, max_per_partner: int, now: datetime, lease_until: datetime
    ) -> Sequence[Call]:
        """Lease due calls until `lease_until` and count one attempt for each.

        At most `max_per_partner` calls to one partner are leased at a time. A call is not leased while another call
        about the same order is leased.
        """


class PartnerSystem(Protocol):
    """Client of partner systems."""

    async def send(self, partner: Partner, call: Call) -> PartnerResponse:
        """Make one attempt at the call. Never raises for errors of the partner system or the network."""


class CallRepository(EntityRepository[str, Call], Protocol):
    """Calls to partner systems in a unit of work."""

    async def add(self, call: Call) -> None:
        """Insert a call, unless the order already has one of this kind."""

    async def get_order_call_for_update(self, order_id: str) -> Call | None:
        """Return the call of kind `order` for an order, locked."""

    async def make_due(self, partner_id: int, now: datetime) -> None:
        """Make every waiting call to a partner due, except leased ones."""

    async def lock_order(self, order_id: str) -> None:
        """Lock the order until the transaction ends, so that calls about it are planned one at a time."""

    async def is_cancelled(self, order_id: str) -> bool:
        """Return whether the order is marked as cancelled."""

    async def mark_cancelled(self, order_id: str, at: datetime) -> None:
        """Mark an order as cancelled, whether or not a call about it exists."""


class BreakerReader(Protocol):
    """Read access to the circuit breakers of partners."""

    async def get(self, partner_id: int) -> CircuitBreaker:
        """Return the circuit breaker of a partner, which other units of work may be changing."""


class BreakerRepository(BreakerReader, Protocol):
    """Circuit breakers of partners in a unit of work."""

    async def get_for_update(self, partner_id: int) -> CircuitBreaker:
        """Return the circuit breaker of a partner, locked."""

    async def save(self, partner_id: int, breaker: CircuitBreaker) -> None:
        """Store the circuit breaker of a partner."""


class CallUnitOfWork(UnitOfWork, Protocol):
    """One transaction over partners, products, prices, calls and circuit breakers."""

    calls: CallRepository
    breakers: BreakerRepository


class PartnerCallsRepository(Repository, Protocol):
    """Read access to partners, catalog, calls and circuit breakers, and the units of work that change them."""

    calls: TimeSortedEntityReader[Call, CallFilter]
    breakers: BreakerReader

    def unit_of_work(self) -> AbstractAsyncContextManager[CallUnitOfWork]:
        """Open a unit of work."""


async def plan_order_call(repository: PartnerCallsRepository, queue: str, event_id: str, call: Call) -> bool:
    """Plan the call about a paid order. Return False for a repeated event or a cancelled order."""
    async with repository.unit_of_work() as unit:
        if not await unit.mark_event_processed(queue, event_id):
            return False
        await unit.calls.lock_order(call.order_id)
        if await unit.calls.is_cancelled(call.order_id):
            return False
        await unit.calls.add(call)
        return True


async def plan_cancellation_call(
    repository: PartnerCallsRepository,
    queue: str,
    event_id: str,
    order_id: str,
    payload: dict[str, Any],
    at: datetime,
    initial_delay_s: float,
) -> bool:
    """Withdraw a waiting call about a cancelled order, and plan the call about the cancellation with this payload.

    Return False if no cancellation is planned: for a repeated event, or if no attempt was made to call the partner
    about the order.
    """
    async with repository.unit_of_work() as unit:
        if not await unit.mark_event_processed(queue, event_id):
            return False
        await unit.calls.lock_order(order_id)
        await unit.calls.mark_cancelled(order_id, at)
        order_call = await unit.calls.get_order_call_for_update(order_id)
        if order_call is None:
            return False
        if order_call.state is CallState.WAITING:
            await unit.calls.save(replace(order_call, state=CallState.WITHDRAWN))
        if order_call.attempts == 0 and not order_call.tries:
            return False
        await unit.calls.add(
            Call(
                id=event_id,
                partner_id=order_call.partner_id,
                order_id=order_id,
                kind=CallKind.CANCELLATION,
                payload=payload,
                trace=order_call.trace,
                state=CallState.WAITING,
                attempts=0,
                next_at=at + timedelta(seconds=initial_delay_s),
                created_at=at,
            )
        )
        return True


async def make_call(
    repository: PartnerCallsRepository,
    system: PartnerSystem,
    clock: Clock,
    retry_delays_s: Sequence[float],
    probe_timeout: timedelta,
    call: Call,
) -> None:
    """Make one attempt at a call and record its result.

    If the process crashes in between, the call is repeated after its lease expires, and the partner system deduplicates
    by the webhook id.
    `probe_timeout` is the time for which a half-open circuit breaker blocks other calls if this attempt is its probe.
    """
    started_at = clock()
    response = await _send(repository, system, started_at, retry_delays_s, probe_timeout, call)
    now = clock()
    await _record_response(repository, now, now - started_at, retry_delays_s, call, response)


async def record_call_error(
    repository: PartnerCallsRepository, clock: Clock, retry_delays_s: Sequence[float], call: Call
) -> None:
    """Record an attempt that ended in an unexpected error as a failed one."""
    response = PartnerResponse(Outcome.FAILED, "internal error")
    await _record_response(repository, clock(), timedelta(0), retry_delays_s, call, response)


async def _record_response(
    repository: PartnerCallsRepository,
    now: datetime,
    duration: timedelta,
    retry_delays_s: Sequence[float],
    call: Call,
    response: PartnerResponse,
) -> None:
    async with repository.unit_of_work() as unit:
        before = await unit.calls.get_for_update(call.id)
        if before is None:
            return
        after = call_policy.apply_attempt(
            before, call.attempts, response, now, duration, retry_delays_s, backoff.draw_jitter()
        )
        await _record_result(unit.breakers, call.partner_id, response.outcome, now)
        await unit.calls.save(after)
        if response.outcome is Outcome.GONE:
            await _disable_partner(unit, call.partner_id, now)
        if call.kind is CallKind.ORDER and after.state is not before.state:
            if after.state is CallState.DELIVERED:
                await unit.publish(PartnerNotified(order_id=call.order_id, partner_id=call.partner_id, at=now))
            elif after.state is CallState.FAILED:
                await unit.publish(
                    PartnerUnreachable(
                        order_id=call.order_id, partner_id=call.partner_id, reason=response.summary, at=now
                    )
                )


async def _send(
    repository: PartnerCallsRepository,
    system: PartnerSystem,
    now: datetime,
    retry_delays_s: Sequence[float],
    probe_timeout: timedelta,
    call: Call,
) -> PartnerResponse:
    partner = await repository.partners.get(call.partner_id)
    if partner is None:
        return PartnerResponse(Outcome.REJECTED, "unknown partner")
    if partner.gone:
        return PartnerResponse(Outcome.GONE, "410 received earlier")
    if call.attempts > len(retry_delays_s):
        # Workers crashed during the last attempts, so the call is failed without another attempt.
        return PartnerResponse(Outcome.FAILED, "attempts exhausted")
    is_permitted = await _try_acquire(repository, partner.id, now, probe_timeout)
    # The last attempt is always made: an open circuit breaker alone must not fail an order.
    if not is_permitted and call.attempts < len(retry_delays_s):
        return PartnerResponse(Outcome.BREAKER_OPEN, "circuit breaker open")
    return await system.send(partner, call)


async def _try_acquire(
    repository: PartnerCallsRepository, partner_id: int, now: datetime, probe_timeout: timedelta
) -> bool:
    """Return whether the circuit breaker permits a call. It is locked only if the call changes it, as a probe does."""
    breaker = await repository.breakers.get(partner_id)
    acquired = breaker.try_acquire(call_policy.CIRCUIT_BREAKER_POLICY, now, probe_timeout)
    if acquired is not None and acquired is not breaker:
        async with repository.unit_of_work() as unit:
            breaker = await unit.breakers.get_for_update(partner_id)
            acquired = breaker.try_acquire(call_policy.CIRCUIT_BREAKER_POLICY, now, probe_timeout)
            if acquired is not None and acquired is not breaker:
                await unit.breakers.save(partner_id, acquired)
    return acquired is not None


async def _record_result(breakers: BreakerRepository, partner_id: int, outcome: Outcome, now: datetime) -> None:
    """Record the result of a call in the circuit breaker, which is locked only if the result changes it."""
    breaker = await breakers.get(partner_id)
    if call_policy.record_result(breaker, outcome, now) != breaker:
        breaker = await breakers.get_for_update(partner_id)
        await breakers.save(partner_id, call_policy.record_result(breaker, outcome, now))


async def _disable_partner(unit: CallUnitOfWork, partner_id: int, now: datetime) -> None:
    partner = await unit.partners.get_for_update(partner_id)
    if partner is None or partner.gone:
        return
    await unit.partners.save(replace(partner, gone=True, enabled=False, version=partner.version + 1))
    await unit.calls.make_due(partner_id, now)
    if partner.is_available:
        await unit.publish(catalog_events.build_partner_changed_event(partner_id, now))
