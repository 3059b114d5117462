"""Worker pool for delivery jobs."""

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
"""Poll interval of the queue, for jobs that become due and jobs added by other processes."""

COALESCE_DELAY_S = 0.005
"""Delay in which further workers may become free, since claiming one job costs as much as claiming ten."""


class WorkerPool:
    """Pool of `workers` concurrent deliveries for jobs of at least `min_priority`.

    Each job is leased for `lease`.
    """

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
        """Notify the pool that a job was added."""
        self._work_available.set()

    async def run(self) -> None:
        """Run until cancelled, through outages of the queue; running deliveries are finished after cancellation."""
        running: set[asyncio.Task[None]] = set()
        try:
            while True:
                self._work_available.clear()
                free_workers = self._workers - len(running)
                jobs = await self._claim(free_workers)
                for job in jobs:
                    task = asyncio.create_task(self._run_job(job))
                    running.add(task)
                    task.add_done_callback(running.discard)
                if len(jobs) == free_workers and running:
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
        except ApiError as error:
            log.warning("delivery jobs not claimed: %s; retrying", error)
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
            except ApiError as error:
                log.warning("delivery of notification %s failed: %s; retrying when its lease expires", job.id, error)
            # An unexpected error must not stop the pool; the job is retried until the notification expires.
            except Exception:
                log.exception("delivery of notification %s failed; retrying when its lease expires", job.id)
