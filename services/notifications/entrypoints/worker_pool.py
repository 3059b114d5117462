"""Workers that take what is due out of the queue."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from opentelemetry.trace import SpanKind

from services.notifications.domain.delivery_state import DeliveryJob
from services.notifications.usecases.ports import JobQueue
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError
from services.runtime.telemetry import tracing

log = logging.getLogger(__name__)

POLL_INTERVAL_S = 0.25
"""Seconds between looks at the queue, for jobs that become due and those that other processes put in."""

COALESCE_DELAY_S = 0.005
"""Seconds that a free worker waits for others, since a look at the queue for one alone costs as much as for ten."""


class WorkerPool:
    """A lane: some workers for jobs of `least` priority or more, each of which they claim for `lease`."""

    def __init__(
        self,
        queue: JobQueue,
        deliver: Callable[[DeliveryJob], Awaitable[None]],
        clock: Clock,
        *,
        min_priority: int,
        workers: int,
        lease: timedelta,
    ) -> None:
        self._queue = queue
        self._deliver = deliver
        self._clock = clock
        self._min_priority = min_priority
        self._workers = workers
        self._lease = lease
        self._work_available = asyncio.Event()

    def notify(self) -> None:
        """There is something to do."""
        self._work_available.set()

    async def run(self) -> None:
        """Until cancelled, through outages of what it needs; what is being worked on then is finished first."""
        running: set[asyncio.Task[None]] = set()
        try:
            while True:
                self._work_available.clear()
                free = self._workers - len(running)
                jobs = await self._claim(free)
                for job in jobs:
                    task = asyncio.create_task(self._run_job(job))
                    running.add(task)
                    task.add_done_callback(running.discard)
                if len(jobs) == free and running:
                    await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                    await asyncio.sleep(COALESCE_DELAY_S)
                else:
                    await self._wait_for_work()
        finally:
            await asyncio.gather(*running)

    async def _claim(self, limit: int) -> Sequence[DeliveryJob]:
        now = self._clock()
        try:
            return await self._queue.claim(self._min_priority, limit, now, now + self._lease)
        except ApiError as refusal:
            log.warning("the queue waits: %s", refusal)
            return ()

    async def _wait_for_work(self) -> None:
        try:
            async with asyncio.timeout(POLL_INTERVAL_S):
                await self._work_available.wait()
        except TimeoutError:
            return

    async def _run_job(self, job: DeliveryJob) -> None:
        attributes = {"delivery.notification.id": job.id, "delivery.notification.event": job.notification.event}
        with tracing.start_span(
            "deliver notification", SpanKind.CONSUMER, dict(job.trace_context), attributes, link=True
        ):
            try:
                await self._deliver(job)
            except ApiError as refusal:
                log.warning("notification %s waits until its claim ends: %s", job.id, refusal)
            # The boundary of the worker: the claim ends by itself, and the notification at the latest with its life.
            except Exception:
                log.exception("notification %s failed; it is tried again when its claim ends", job.id)
