"""The worker that makes the calls that are due. Any number of them may run."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import NamedTuple, Protocol

from opentelemetry.trace import SpanKind

from services.partners import usecases
from services.partners.domain.call_policy import Call
from services.partners.usecases.partner_calls import CallRepository
from services.partners.usecases.ports import DueCallsQueue, PartnerSystem
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError
from services.runtime.telemetry import tracing

log = logging.getLogger(__name__)

MAX_CONCURRENT = 64
"""How many calls one worker has under way."""

MAX_PER_PARTNER = 4
"""How many of them, and of all other workers', go to one partner; a dead one takes no more from the others."""

POLL_INTERVAL_S = 1.0
"""Seconds between looks for calls that are due."""

WRITE_MARGIN = timedelta(seconds=15)
"""How long it may take to write down what came of a try; the lease is as much longer than the call may take."""


class DueCallRepository(CallRepository, DueCallsQueue, Protocol):
    """Where calls are kept, and which of them are due."""


class CallPolicy(NamedTuple):
    """How partners' systems are called: the schedule as `retries.SCHEDULE`, and the seconds that a call may take."""

    retry_delays_s: Sequence[float]
    timeout_s: float

    @property
    def lease(self) -> timedelta:
        """How long a call is left to the worker that took it."""
        return timedelta(seconds=self.timeout_s) + WRITE_MARGIN


async def run_worker(
    repository: DueCallRepository, system: PartnerSystem, clock: Clock, policy: CallPolicy, wakeup: asyncio.Event
) -> None:
    """Makes the calls that are due, until cancelled; `planned` says that there is one now."""
    under_way: set[asyncio.Task[None]] = set()

    def ended(task: asyncio.Task[None]) -> None:
        """A place is free, and a partner's next call may begin."""
        under_way.discard(task)
        wakeup.set()

    async with asyncio.TaskGroup() as tasks:
        while True:
            wakeup.clear()
            for call in await _claim_calls(repository, clock, policy, MAX_CONCURRENT - len(under_way)):
                task = tasks.create_task(_run_call(repository, system, clock, policy, call))
                under_way.add(task)
                task.add_done_callback(ended)
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_INTERVAL_S):
                    await wakeup.wait()


async def _claim_calls(repository: DueCallRepository, clock: Clock, policy: CallPolicy, size: int) -> Sequence[Call]:
    now = clock()
    if not size:
        return []
    try:
        return await repository.claim_due_calls(size, MAX_PER_PARTNER, now, now + policy.lease)
    except ApiError:
        log.warning("the calls that are due cannot be read; trying again")
        return []


async def _run_call(
    repository: DueCallRepository, system: PartnerSystem, clock: Clock, policy: CallPolicy, call: Call
) -> None:
    about: dict[str, str | int] = {"delivery.order_id": call.order_id, "delivery.attempt": call.attempts}
    with tracing.start_span("make partner call", SpanKind.CONSUMER, call.trace, about, link=True):
        await _attempt_call(repository, system, clock, policy, call)


async def _attempt_call(
    repository: DueCallRepository, system: PartnerSystem, clock: Clock, policy: CallPolicy, call: Call
) -> None:
    try:
        await usecases.make_call(repository, system, clock, policy.retry_delays_s, policy.lease, call)
    except ApiError:
        log.warning("the call %s was made but not written down; it will be made again", call.id)
    # The boundary of one call: whatever is wrong with it is logged, and holds up no other.
    except Exception:
        log.exception("attempt %d at the call %s failed", call.attempts, call.id)
