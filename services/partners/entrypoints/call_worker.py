"""Worker that makes due calls to partner systems. Any number of workers may run concurrently."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import NamedTuple

from opentelemetry.trace import SpanKind

from services.partners import usecases
from services.partners.domain.call_policy import Call
from services.partners.usecases.partner_calls import DueCallsQueue, PartnerSystem
from services.partners.usecases.ports import Repository
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError
from services.runtime.telemetry import tracing

log = logging.getLogger(__name__)

MAX_CONCURRENT = 64
"""Maximum number of concurrent calls of one worker."""

MAX_PER_PARTNER = 4
"""Maximum number of concurrent calls to one partner, over all workers.

It limits the capacity that an unresponsive partner takes from the others.
"""

POLL_INTERVAL_S = 1.0
"""Interval between queries for due calls."""

WRITE_MARGIN = timedelta(seconds=15)
"""Time to record the result of an attempt; added to the call timeout to get the lease."""


class CallPolicy(NamedTuple):
    """Retry schedule and timeout of calls to partner systems; see `Settings`."""

    retry_delays_s: Sequence[float]
    timeout_s: float

    @property
    def lease(self) -> timedelta:
        """Return the time after which another worker may take over a claimed call."""
        return timedelta(seconds=self.timeout_s) + WRITE_MARGIN


async def run_worker(
    queue: DueCallsQueue,
    repository: Repository,
    system: PartnerSystem,
    clock: Clock,
    policy: CallPolicy,
    wakeup: asyncio.Event,
) -> None:
    """Make due calls until cancelled. Setting `wakeup` triggers a query without waiting for the poll interval."""
    running: set[asyncio.Task[None]] = set()

    def on_done(task: asyncio.Task[None]) -> None:
        """Free the slot and query again: the partner's next call may now be claimed."""
        running.discard(task)
        wakeup.set()

    async with asyncio.TaskGroup() as tasks:
        while True:
            wakeup.clear()
            for call in await _claim_calls(queue, clock, policy, MAX_CONCURRENT - len(running)):
                task = tasks.create_task(_run_call(repository, system, clock, policy, call))
                running.add(task)
                task.add_done_callback(on_done)
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_INTERVAL_S):
                    await wakeup.wait()


async def _claim_calls(queue: DueCallsQueue, clock: Clock, policy: CallPolicy, size: int) -> Sequence[Call]:
    now = clock()
    if not size:
        return []
    try:
        return await queue.claim_due_calls(size, MAX_PER_PARTNER, now, now + policy.lease)
    except ApiError:
        log.warning("claiming due calls failed: database unavailable; retrying after the poll interval")
        return []


async def _run_call(
    repository: Repository, system: PartnerSystem, clock: Clock, policy: CallPolicy, call: Call
) -> None:
    attributes: dict[str, str | int] = {"delivery.order_id": call.order_id, "delivery.attempt": call.attempts}
    with tracing.start_span("make partner call", SpanKind.CONSUMER, call.trace, attributes, link=True):
        await _attempt_call(repository, system, clock, policy, call)


async def _attempt_call(
    repository: Repository, system: PartnerSystem, clock: Clock, policy: CallPolicy, call: Call
) -> None:
    try:
        await usecases.make_call(repository, system, clock, policy.retry_delays_s, policy.lease, call)
    except ApiError:
        log.warning(
            "recording attempt %d of call %s failed: database unavailable; retrying after the lease",
            call.attempts,
            call.id,
        )
    # Boundary of one call: an unexpected error must not stop the worker.
    except Exception:
        log.exception("attempt %d of call %s failed", call.attempts, call.id)
