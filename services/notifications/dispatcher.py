"""Workers that take what is due out of the queue."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from opentelemetry.trace import SpanKind

from services.notifications.domain.progress import Job
from services.notifications.usecases.ports import Queue
from services.runtime import tracing
from services.runtime.clock import Clock
from services.runtime.refusal import Refusal

log = logging.getLogger(__name__)

POLL = 0.25
"""Seconds between looks at the queue, for jobs that become due and those that other processes put in."""

GATHER = 0.005
"""Seconds that a free worker waits for others, since a look at the queue for one alone costs as much as for ten."""


class Dispatcher:
    """A lane: some workers for jobs of `least` priority or more, each of which they claim for `lease`."""

    def __init__(
        self,
        queue: Queue,
        deliver: Callable[[Job], Awaitable[None]],
        clock: Clock,
        *,
        least: int,
        workers: int,
        lease: timedelta,
    ) -> None:
        self._queue = queue
        self._deliver = deliver
        self._clock = clock
        self._least = least
        self._workers = workers
        self._lease = lease
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """There is something to do."""
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled, through outages of what it needs; what is being worked on then is finished first."""
        running: set[asyncio.Task[None]] = set()
        try:
            while True:
                self._wake.clear()
                free = self._workers - len(running)
                jobs = await self._claim(free)
                for job in jobs:
                    task = asyncio.create_task(self._work(job))
                    running.add(task)
                    task.add_done_callback(running.discard)
                if len(jobs) == free and running:
                    await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                    await asyncio.sleep(GATHER)
                else:
                    await self._rest()
        finally:
            await asyncio.gather(*running)

    async def _claim(self, many: int) -> Sequence[Job]:
        now = self._clock()
        try:
            return await self._queue.claim(self._least, many, now, now + self._lease)
        except Refusal as refusal:
            log.warning("the queue waits: %s", refusal)
            return ()

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(POLL):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _work(self, job: Job) -> None:
        attributes = {"delivery.notification.id": job.id, "delivery.notification.event": job.notification.event}
        with tracing.span("deliver notification", SpanKind.CONSUMER, dict(job.trace), attributes, link=True):
            try:
                await self._deliver(job)
            except Refusal as refusal:
                log.warning("notification %s waits until its claim ends: %s", job.id, refusal)
            # The boundary of the worker: the claim ends by itself, and the notification at the latest with its life.
            except Exception:
                log.exception("notification %s failed; it is tried again when its claim ends", job.id)
