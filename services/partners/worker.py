"""The worker that makes the calls that are due. Any number of them may run."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import NamedTuple, Protocol

from opentelemetry.trace import SpanKind

from services.partners import usecases
from services.partners.retries import Call
from services.partners.usecases.calls import Calls
from services.partners.usecases.ports import CallsDue, PartnerSystem
from services.runtime import tracing
from services.runtime.clock import Clock
from services.runtime.refusal import Refusal

log = logging.getLogger(__name__)

AT_ONCE = 64
"""How many calls one worker has under way."""

PER_PARTNER = 4
"""How many of them, and of all other workers', go to one partner; a dead one takes no more from the others."""

SWEEP = 1.0
"""Seconds between looks for calls that are due."""

WRITING = timedelta(seconds=15)
"""How long it may take to write down what came of a try; the lease is as much longer than the call may take."""


class Due(Calls, CallsDue, Protocol):
    """Where calls are kept, and which of them are due."""


class Terms(NamedTuple):
    """How partners' systems are called: the schedule as `retries.SCHEDULE`, and the seconds that a call may take."""

    schedule: Sequence[float]
    timeout_s: float

    @property
    def lease(self) -> timedelta:
        """How long a call is left to the worker that took it."""
        return timedelta(seconds=self.timeout_s) + WRITING


async def work(store: Due, system: PartnerSystem, clock: Clock, terms: Terms, planned: asyncio.Event) -> None:
    """Makes the calls that are due, until cancelled; `planned` says that there is one now."""
    under_way: set[asyncio.Task[None]] = set()

    def ended(task: asyncio.Task[None]) -> None:
        """A place is free, and a partner's next call may begin."""
        under_way.discard(task)
        planned.set()

    async with asyncio.TaskGroup() as tasks:
        while True:
            planned.clear()
            for call in await _take(store, clock, terms, AT_ONCE - len(under_way)):
                task = tasks.create_task(_make(store, system, clock, terms, call))
                under_way.add(task)
                task.add_done_callback(ended)
            with suppress(TimeoutError):
                async with asyncio.timeout(SWEEP):
                    await planned.wait()


async def _take(store: Due, clock: Clock, terms: Terms, size: int) -> Sequence[Call]:
    now = clock()
    if not size:
        return []
    try:
        return await store.take_calls(size, PER_PARTNER, now, now + terms.lease)
    except Refusal:
        log.warning("the calls that are due cannot be read; trying again")
        return []


async def _make(store: Due, system: PartnerSystem, clock: Clock, terms: Terms, call: Call) -> None:
    about: dict[str, str | int] = {"delivery.order_id": call.order_id, "delivery.attempt": call.attempts}
    with tracing.span("make partner call", SpanKind.CONSUMER, call.trace, about, link=True):
        await _try(store, system, clock, terms, call)


async def _try(store: Due, system: PartnerSystem, clock: Clock, terms: Terms, call: Call) -> None:
    try:
        await usecases.make_call(store, system, clock, terms.schedule, terms.lease, call)
    except Refusal:
        log.warning("the call %s was made but not written down; it will be made again", call.id)
    # The boundary of one call: whatever is wrong with it is logged, and holds up no other.
    except Exception:
        log.exception("attempt %d at the call %s failed", call.attempts, call.id)
