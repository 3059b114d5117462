"""Worker pool: runs the jobs of a queue with leases, at most a fixed number of them concurrently."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from generated.problems import Reason
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError

log = logging.getLogger(__name__)

COALESCE_DELAY_S = 0.005
"""Delay in which further workers may become free, since claiming one job costs as much as claiming ten."""

DRAIN_TIMEOUT_S = 8.0
"""Time limit of running jobs after cancellation; a job that is cancelled then is repeated after its lease."""


class Job(Protocol):
    """Job of a queue."""

    @property
    def id(self) -> str:
        """Return the id of the job."""


type ClaimJobs[J: Job] = Callable[[int, datetime, datetime], Awaitable[Sequence[J]]]
"""Lease at most that many due jobs, given the current time and the end of the lease."""


def _trace_nothing(_: object) -> AbstractContextManager[object]:
    return nullcontext()


@dataclass(frozen=True, kw_only=True, eq=False)
class WorkerPool[J: Job]:
    """Pool of at most `max_concurrent` running jobs. Any number of pools may share a queue.

    Each job is leased for `lease`, and run inside of the context manager `trace`. An exception fails this attempt only:
    it is logged, then `record_failure` may schedule the next attempt. Without `record_failure`, or if the database is
    unavailable, the next attempt begins when the lease has expired.

    The queue is polled every `poll_interval_s` seconds, at once when `wakeup` is set, and when a worker becomes free
    while jobs may be waiting. With `polls_after_each_job` it is polled whenever a job has finished, for queues in which
    a running job blocks others. `name` is the noun for a job in log lines.
    """

    name: str
    claim: ClaimJobs[J]
    run_job: Callable[[J], Awaitable[None]]
    clock: Clock
    lease: timedelta
    max_concurrent: int
    poll_interval_s: float
    trace: Callable[[J], AbstractContextManager[object]] = _trace_nothing
    record_failure: Callable[[J], Awaitable[None]] | None = None
    polls_after_each_job: bool = False
    wakeup: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Run until cancelled. Running jobs are then finished, for at most DRAIN_TIMEOUT_S."""
        running: set[asyncio.Task[None]] = set()

        def on_done(task: asyncio.Task[None]) -> None:
            running.discard(task)
            if self.polls_after_each_job:
                self.wakeup.set()

        try:
            while True:
                self.wakeup.clear()
                free_workers = self.max_concurrent - len(running)
                jobs = await self._claim(free_workers)
                for job in jobs:
                    task = asyncio.create_task(self._run_job(job))
                    running.add(task)
                    task.add_done_callback(on_done)
                if len(jobs) == free_workers:
                    await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                    await asyncio.sleep(COALESCE_DELAY_S)
                else:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(self.poll_interval_s):
                            await self.wakeup.wait()
        finally:
            await _drain(running)

    async def _claim(self, size: int) -> Sequence[J]:
        now = self.clock()
        try:
            return await self.claim(size, now, now + self.lease)
        except ApiError as error:
            log.warning("claiming a %s failed: %s; retrying after the poll interval", self.name, error)
        # Boundary of the queue: an unexpected error must not end the process and its other jobs.
        except Exception:
            log.exception("claiming a %s failed: unexpected error; retrying after the poll interval", self.name)
        return ()

    async def _run_job(self, job: J) -> None:
        try:
            with self.trace(job):
                await self._attempt_job(job)
        # Boundary of one job: an unexpected error must not end the process and its other jobs.
        except Exception:
            log.exception("recording the failure of %s %s failed; retrying when its lease expires", self.name, job.id)

    async def _attempt_job(self, job: J) -> None:
        try:
            await self.run_job(job)
        except Exception as error:
            if isinstance(error, ApiError) and error.reason is Reason.UPSTREAM_UNAVAILABLE:
                log.warning("%s %s failed: %s; retrying when its lease expires", self.name, job.id, error)
                return
            log.exception("%s %s failed: unexpected error; this attempt has failed", self.name, job.id)
            if self.record_failure is not None:
                await self.record_failure(job)


async def _drain(running: set[asyncio.Task[None]]) -> None:
    if not running:
        return
    tasks = [*running]
    try:
        await asyncio.wait(tasks, timeout=DRAIN_TIMEOUT_S)
    finally:
        for task in tasks:
            task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
