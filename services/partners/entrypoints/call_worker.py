"""Workers that make due calls to partner systems."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

from opentelemetry.trace import Span, SpanKind

from services.partners import usecases
from services.partners.domain.call_policy import Call
from services.partners.usecases.partner_calls import DueCallsQueue, PartnerCallsRepository, PartnerSystem
from services.runtime.concurrency.worker_pool import WorkerPool
from services.runtime.core.clock import Clock
from services.runtime.telemetry import tracing

MAX_CONCURRENT = 64
"""Maximum number of concurrent calls of one process."""

MAX_PER_PARTNER = 4
"""Maximum number of concurrent calls to one partner, over all processes.

It limits the capacity that an unresponsive partner takes from the others.
"""

POLL_INTERVAL_S = 5.0
"""Poll interval of due calls, for those of other processes; workers are woken for those of their own process."""

POLL_DELAY_AFTER_CALL_S = 0.02
"""Delay of the query after a call has ended, which covers all calls that end meanwhile."""

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


def create_call_workers(
    queue: DueCallsQueue,
    repository: PartnerCallsRepository,
    system: PartnerSystem,
    clock: Clock,
    policy: CallPolicy,
    wakeup: asyncio.Event,
) -> WorkerPool[Call]:
    """Return the worker pool of calls. A finished call may permit the next one to the same partner."""

    async def claim(size: int, now: datetime, lease_until: datetime) -> Sequence[Call]:
        return await queue.claim_due_calls(size, MAX_PER_PARTNER, now, lease_until)

    return WorkerPool(
        name="partner call",
        claim=claim,
        run_job=partial(usecases.make_call, repository, system, clock, policy.retry_delays_s, policy.lease),
        record_failure=partial(usecases.record_call_error, repository, clock, policy.retry_delays_s),
        trace=_start_call_span,
        clock=clock,
        lease=policy.lease,
        max_concurrent=MAX_CONCURRENT,
        poll_interval_s=POLL_INTERVAL_S,
        poll_delay_after_job_s=POLL_DELAY_AFTER_CALL_S,
        wakeup=wakeup,
    )


def _start_call_span(call: Call) -> AbstractContextManager[Span]:
    attributes: dict[str, str | int] = {"delivery.order_id": call.order_id, "delivery.attempt": call.attempts}
    return tracing.start_span("make partner call", SpanKind.CONSUMER, call.trace, attributes, link=True)
