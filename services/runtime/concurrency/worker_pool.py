"""Worker pool: runs the jobs of a queue with leases, at most a fixed number of them concurrently."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol, Self

from generated.problems import Reason
from services.runtime.concurrency.periodic import compute_delay_s
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError

log = logging.getLogger(__name__)

COALESCE_DELAY_S = 0.005
"""Delay in which further workers may become free, since claiming one job costs as much as claiming ten."""

DUE_MARGIN_S = 0.01
"""Delay of the query for a job that has become due, since timers of the event loop may end a millisecond early."""

DRAIN_TIMEOUT_S = 8.0
"""Time limit of running jobs after cancellation; a job that is cancelled then is repeated after its lease."""


class Job(Protocol):
    """Job of a queue."""

    @property
    def id(self) -> str:
        """Return the id of the job."""


class ClaimedJobs[J](list[J]):
    """Result of a claim that has leased `leased` jobs and omits those that could not be decoded."""

    def __init__(self, jobs: Iterable[J], leased: int) -> None:
        super().__init__(jobs)
        self.leased = leased


type ClaimJobs[J: Job] = Callable[[int, datetime, datetime], Awaitable[Sequence[J]]]
"""Lease at most that many due jobs, given the current time and the end of the lease.

Return ClaimedJobs if some of them are omitted.
"""


def _count_leased(jobs: Sequence[object]) -> int:
    return jobs.leased if isinstance(jobs, ClaimedJobs) else len(jobs)


def _trace_nothing(_: object) -> AbstractContextManager[object]:
    return nullcontext()


@dataclass(kw_only=True, eq=False)
class WorkerPool[J: Job]:
    """Pool of at most `max_concurrent` running jobs. Any number of pools may share a queue.

    Each job is leased for `lease`, and run inside of the context manager `trace`. An exception fails this attempt only:
    it is logged, then `record_failure` may schedule the next attempt. Without `record_failure`, or if the database is
    unavailable, the next attempt begins when the lease has expired.

    The queue is polled every `poll_interval_s` seconds, at once when `wakeup` is set, when a worker is free while jobs
    may be waiting, since the last claim has leased as many as it could, and when a job is due again at the time that
    `run_job` returned. With `poll_delay_after_job_s` it is also polled after a job has finished, for queues in which a
    running job blocks others; jobs that finish within the delay share the poll. `name` is the noun for a job in log
    lines.
    `poll_interval_s` is above zero.
    """

    name: str
    claim: ClaimJobs[J]
    run_job: Callable[[J], Awaitable[datetime | None]]
    clock: Clock
    lease: timedelta
    max_concurrent: int
    poll_interval_s: float
    trace: Callable[[J], AbstractContextManager[object]] = _trace_nothing
    record_failure: Callable[[J], Awaitable[None]] | None = None
    poll_delay_after_job_s: float | None = None
    wakeup: asyncio.Event = field(default_factory=asyncio.Event)
    _running: set[asyncio.Task[None]] = field(default_factory=set, init=False)
    _reserved: int = field(default=0, init=False)
    _worker_freed: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _poll_after_jobs: asyncio.TimerHandle | None = field(default=None, init=False)
    _idle_context: Context | None = field(default=None, init=False)
    """Context of the jobs, while the pool waits for jobs and has a free worker."""

    async def run(self) -> None:
        """Run until cancelled. Running jobs are then finished, for at most DRAIN_TIMEOUT_S."""
        try:
            while True:
                self.wakeup.clear()
                self._worker_freed.clear()
                self._cancel_poll_after_jobs()
                free_workers = self._count_free_workers()
                jobs = await self._claim(free_workers) if free_workers else ()
                if jobs is None:
                    await self._wait_for_jobs(self.poll_interval_s)
                    continue
                for job in jobs:
                    self._start(job, copy_context())
                if len(jobs) == free_workers:
                    await self._worker_freed.wait()
                    await asyncio.sleep(COALESCE_DELAY_S)
                elif _count_leased(jobs) < free_workers:
                    await self._wait_for_jobs(compute_delay_s(self.poll_interval_s))
        finally:
            await self._drain()
            self._cancel_poll_after_jobs()

    def reserve(self) -> "Reservation[J] | None":
        """Reserve a worker for a job before it is added to the queue, which saves the claim.

        Return None unless a worker is free and no job waits for it.
        """
        if self._idle_context is None or not self._count_free_workers():
            return None
        self._reserved += 1
        start = partial(self._start, context=self._idle_context.copy())
        return Reservation(self.clock() + self.lease, start, self._end_reservation)

    def _count_free_workers(self) -> int:
        return self.max_concurrent - len(self._running) - self._reserved

    async def _wait_for_jobs(self, delay_s: float) -> None:
        self._idle_context = copy_context()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(delay_s):
                    await self.wakeup.wait()
        finally:
            self._idle_context = None

    def _start(self, job: J, context: Context) -> None:
        task = asyncio.get_running_loop().create_task(self._run_job(job), context=context)
        self._running.add(task)
        task.add_done_callback(self._on_done)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._worker_freed.set()
        if self.poll_delay_after_job_s is not None and self._poll_after_jobs is None:
            loop = asyncio.get_running_loop()
            self._poll_after_jobs = loop.call_later(self.poll_delay_after_job_s, self.wakeup.set)

    def _cancel_poll_after_jobs(self) -> None:
        """Cancel the poll after finished jobs, since the next claim covers them."""
        if self._poll_after_jobs is not None:
            self._poll_after_jobs.cancel()
            self._poll_after_jobs = None

    def _end_reservation(self) -> None:
        self._reserved -= 1
        self._worker_freed.set()

    async def _claim(self, size: int) -> Sequence[J] | None:
        """Return the claimed jobs, or None after a failure."""
        now = self.clock()
        try:
            return await self.claim(size, now, now + self.lease)
        except ApiError as error:
            log.warning("claiming a %s failed: %s; retrying after the poll interval", self.name, error)
        # Boundary of the queue: an unexpected error must not end the process and its other jobs.
        except Exception:
            log.exception("claiming a %s failed: unexpected error; retrying after the poll interval", self.name)
        return None

    async def _run_job(self, job: J) -> None:
        try:
            with self.trace(job):
                await self._attempt_job(job)
        # Boundary of one job: an unexpected error must not end the process and its other jobs.
        except Exception:
            log.exception("recording the failure of %s %s failed; retrying when its lease expires", self.name, job.id)

    async def _attempt_job(self, job: J) -> None:
        try:
            due_at = await self.run_job(job)
            if due_at is not None:
                delay_s = (due_at - self.clock()).total_seconds() + DUE_MARGIN_S
                asyncio.get_running_loop().call_later(delay_s, self.wakeup.set)
        except Exception as error:
            if isinstance(error, ApiError) and error.reason is Reason.UPSTREAM_UNAVAILABLE:
                log.warning("%s %s failed: %s; retrying when its lease expires", self.name, job.id, error)
                return
            log.exception("%s %s failed: unexpected error; this attempt has failed", self.name, job.id)
            if self.record_failure is not None:
                await self.record_failure(job)

    async def _drain(self) -> None:
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_TIMEOUT_S):
                    while self._running or self._reserved:
                        self._worker_freed.clear()
                        await self._worker_freed.wait()
        finally:
            tasks = [*self._running]
            for task in tasks:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Reservation[J: Job]:
    """Worker that is reserved for a job, until the end of the `with` block or the start of the job.

    The job is added to the queue with a lease until `lease_until`, so that no other worker claims it.
    """

    def __init__(self, lease_until: datetime, start: Callable[[J], None], end: Callable[[], None]) -> None:
        self.lease_until = lease_until
        self._start = start
        self._end = end
        self._is_ended = False

    def __enter__(self) -> Self:
        """Return the reservation."""
        return self

    def __exit__(self, *_: object) -> None:
        """Release the worker unless the job was started."""
        if not self._is_ended:
            self._is_ended = True
            self._end()

    def start(self, job: J) -> None:
        """Start the job, which has been added to the queue."""
        self._start(job)
        self.__exit__()
