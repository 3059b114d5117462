"""Calls to partner systems: ports, and attempts."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from generated.proto.delivery.events.v1 import OrderReadyReported, PartnerNotified, PartnerUnreachable
from services.partners.domain import call_policy
from services.partners.domain.call_policy import (
    Attempt,
    Call,
    CallFilter,
    CallKind,
    CallState,
    Outcome,
    PartnerResponse,
)
from services.partners.domain.partners import Partner, ReadyReport
from services.partners.usecases import catalog_events
from services.partners.usecases.ports import Repository, UnitOfWork
from services.runtime.concurrency.circuit_breaker import CircuitBreaker
from services.runtime.core import backoff
from services.runtime.core.clock import Clock
from services.runtime.core.repository import EntityReader, EntityRepository, TimeSortedEntityReader

type SourceKey = tuple[str, str]
"""Queue and id of a consumed event."""


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

    async def add_for_new_events(self, calls: Mapping[SourceKey, Call]) -> set[SourceKey]:
        """Mark events about paid orders as processed, and insert the calls of those that were not processed before.

        Locks the orders as `lock_order`. Return the events whose calls were inserted: not those of cancelled orders,
        nor of orders that already have a call of this kind.
        """

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


class BreakerRepository(Protocol):
    """Circuit breakers of partners in a unit of work."""

    async def get(self, partner_id: int) -> CircuitBreaker:
        """Return the circuit breaker of a partner, which other units of work may be changing."""

    async def get_for_update(self, partner_id: int) -> CircuitBreaker:
        """Return the circuit breaker of a partner, locked."""

    async def save(self, partner_id: int, breaker: CircuitBreaker) -> None:
        """Store the circuit breaker of a partner."""


class CallTarget(NamedTuple):
    """Partner whose system is called, and its circuit breaker, which other units of work may be changing."""

    partner: Partner
    breaker: CircuitBreaker


class AcceptedCallStore(Protocol):
    """Results of accepted order calls, which are stored without a lock."""

    async def record(self, call: Call, attempt: Attempt, event: PartnerNotified) -> bool:
        """Store that an attempt was accepted, and publish the event, unless the result depends on other changes.

        Return False, without any effect, if another attempt has begun, if the call is not waiting, or if the circuit
        breaker of the partner counts failures.
        """


class ReadyReportStore(Protocol):
    """Reports of partners that orders are ready. Each method is a transaction of its own."""

    async def publish(self, report: ReadyReport, webhook_id: str, event: OrderReadyReported) -> bool:
        """Register a report under its webhook id, and publish the event.

        Return False, without any effect, if the partner has sent a report under the id before, or if no call about the
        order was planned for the partner.
        """

    async def get_fingerprint(self, partner_id: int, webhook_id: str) -> bytes | None:
        """Return the fingerprint of the report that the partner has sent under the webhook id."""


class CallUnitOfWork(UnitOfWork, Protocol):
    """One transaction over partners, products, prices, calls and circuit breakers."""

    calls: CallRepository
    breakers: BreakerRepository


class PartnerCallsRepository(Repository, Protocol):
    """Read access to partners, catalog, calls and circuit breakers, and the units of work that change them."""

    calls: TimeSortedEntityReader[Call, CallFilter]
    call_targets: EntityReader[int, CallTarget]
    accepted_calls: AcceptedCallStore
    ready_reports: ReadyReportStore

    def unit_of_work(self) -> AbstractAsyncContextManager[CallUnitOfWork]:
        """Open a unit of work."""


async def make_call(
    repository: PartnerCallsRepository,
    system: PartnerSystem,
    clock: Clock,
    retry_delays_s: Sequence[float],
    probe_timeout: timedelta,
    call: Call,
) -> datetime | None:
    """Make one attempt at a call and record its result. Return the time of the next attempt, if there is one.

    If the process crashes in between, the call is repeated after its lease expires, and the partner system deduplicates
    by the webhook id.
    `probe_timeout` is the time for which a half-open circuit breaker blocks other calls if this attempt is its probe.
    """
    started_at = clock()
    response = await _send(repository, system, started_at, retry_delays_s, probe_timeout, call)
    now = clock()
    duration = now - started_at
    if response.outcome is Outcome.ACCEPTED and call.kind is CallKind.ORDER:
        attempt = call_policy.create_attempt(response, now, duration)
        event = PartnerNotified(order_id=call.order_id, partner_id=call.partner_id, at=now)
        if await repository.accepted_calls.record(call, attempt, event):
            return None
    return await _record_response(repository, now, duration, retry_delays_s, call, response)


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
) -> datetime | None:
    async with repository.unit_of_work() as unit:
        before = await unit.calls.get_for_update(call.id)
        if before is None:
            return None
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
    return after.next_at if after.state is CallState.WAITING else None


async def _send(
    repository: PartnerCallsRepository,
    system: PartnerSystem,
    now: datetime,
    retry_delays_s: Sequence[float],
    probe_timeout: timedelta,
    call: Call,
) -> PartnerResponse:
    target = await repository.call_targets.get(call.partner_id)
    if target is None:
        return PartnerResponse(Outcome.REJECTED, "unknown partner")
    if target.partner.gone:
        return PartnerResponse(Outcome.GONE, "410 received earlier")
    if call.attempts > len(retry_delays_s):
        # Workers crashed during the last attempts, so the call is failed without another attempt.
        return PartnerResponse(Outcome.FAILED, "attempts exhausted")
    is_permitted = await _try_acquire(repository, target, now, probe_timeout)
    # The last attempt is always made: an open circuit breaker alone must not fail an order.
    if not is_permitted and call.attempts < len(retry_delays_s):
        return PartnerResponse(Outcome.BREAKER_OPEN, "circuit breaker open")
    return await system.send(target.partner, call)


async def _try_acquire(
    repository: PartnerCallsRepository, target: CallTarget, now: datetime, probe_timeout: timedelta
) -> bool:
    """Return whether the circuit breaker permits a call. It is locked only if the call changes it, as a probe does."""
    partner_id, breaker = target.partner.id, target.breaker
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
