"""Worker pool: limits, reservations, errors of one job, queue outages and cancellation."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import pytest

from generated.problems import Reason
from services.runtime.concurrency import worker_pool
from services.runtime.concurrency.worker_pool import ClaimedJobs, Reservation, WorkerPool
from services.runtime.core.errors import ApiError
from tests.unit.fake_transactions import NOW
from tests.wait import wait_until_async

LEASE = timedelta(minutes=1)
LONG_INTERVAL_S = 3600.0
OUTAGE = ApiError(Reason.UPSTREAM_UNAVAILABLE)


class FakeJob(NamedTuple):
    id: str


class Jobs:
    """Queue and function of jobs.

    Jobs whose ids begin with "undecodable" are leased and omitted. Jobs listed in `errors` fail, the next claims raise
    `claim_errors`, and finished jobs are due again at `due_at`.
    """

    def __init__(self, *job_ids: str) -> None:
        self.pending = [FakeJob(job_id) for job_id in job_ids]
        self.claim_errors: list[Exception] = []
        self.errors: dict[str, Exception] = {}
        self.claims: list[tuple[int, datetime, datetime]] = []
        self.finished: list[str] = []
        self.failed: list[str] = []
        self.released = asyncio.Event()
        self.released.set()
        self.running = self.max_running = 0
        self.due_at: datetime | None = None

    async def claim(self, size: int, now: datetime, lease_until: datetime) -> Sequence[FakeJob]:
        self.claims.append((size, now, lease_until))
        if self.claim_errors:
            raise self.claim_errors.pop(0)
        claimed, self.pending = self.pending[:size], self.pending[size:]
        return ClaimedJobs((job for job in claimed if not job.id.startswith("undecodable")), len(claimed))

    async def run(self, job: FakeJob) -> datetime | None:
        if job.id in self.errors:
            raise self.errors[job.id]
        self.running += 1
        self.max_running = max(self.max_running, self.running)
        await asyncio.sleep(0)
        await self.released.wait()
        self.running -= 1
        self.finished.append(job.id)
        return self.due_at

    async def record_failure(self, job: FakeJob) -> None:
        self.failed.append(job.id)

    async def wait_for_finished(self, count: int) -> None:
        await wait_until_async(lambda: len(self.finished) >= count, interval_s=0)

    async def wait_for_claims(self, count: int) -> None:
        await wait_until_async(lambda: len(self.claims) >= count, interval_s=0)

    async def wait_for_running(self, count: int) -> None:
        await wait_until_async(lambda: self.running >= count, interval_s=0)


@asynccontextmanager
async def running_pool(
    jobs: Jobs, *, max_concurrent: int = 2, poll_interval_s: float = LONG_INTERVAL_S, **options: Any
) -> AsyncIterator[WorkerPool[FakeJob]]:
    pool = WorkerPool(
        name="test job",
        claim=jobs.claim,
        run_job=jobs.run,
        clock=lambda: NOW,
        lease=LEASE,
        max_concurrent=max_concurrent,
        poll_interval_s=poll_interval_s,
        **options,
    )
    task = asyncio.create_task(pool.run())
    try:
        async with asyncio.timeout(5):
            yield pool
    finally:
        assert not task.done()
        task.cancel()
        await asyncio.wait([task])


async def test_jobs_are_leased_up_to_free_workers() -> None:
    jobs = Jobs("a", "b", "c")
    async with running_pool(jobs):
        await jobs.wait_for_finished(3)
    assert jobs.claims[0] == (2, NOW, NOW + LEASE)
    assert max(size for size, _, _ in jobs.claims) == jobs.max_running == 2
    assert jobs.finished == ["a", "b", "c"]


async def test_free_worker_claims_while_others_are_busy() -> None:
    jobs = Jobs("a", "b", "c")
    jobs.released.clear()

    async def run(job: FakeJob) -> None:
        if job.id == "a":
            jobs.finished.append(job.id)
        else:
            await Jobs.run(jobs, job)

    jobs.run = run  # type: ignore[method-assign]
    async with running_pool(jobs):
        await jobs.wait_for_running(2)
        assert jobs.finished == ["a"]
        assert [size for size, _, _ in jobs.claims] == [2, 1]
        jobs.released.set()
        await jobs.wait_for_finished(3)


async def test_wakeup_starts_claim_before_poll_interval() -> None:
    jobs = Jobs()
    async with running_pool(jobs) as pool:
        await jobs.wait_for_claims(1)
        jobs.pending = [FakeJob("a")]
        pool.wakeup.set()
        await jobs.wait_for_finished(1)


@pytest.mark.parametrize("first", [["a", "undecodable"], ["undecodable1", "undecodable2"]])
async def test_full_claim_with_undecodable_jobs_is_repeated(first: list[str]) -> None:
    jobs = Jobs(*first, "b", "c")
    async with running_pool(jobs):
        await wait_until_async(lambda: {"b", "c"} <= {*jobs.finished}, interval_s=0)
    assert not any(job_id.startswith("undecodable") for job_id in jobs.finished)


async def test_claim_with_undecodable_job_and_free_worker_waits() -> None:
    jobs = Jobs("a", "undecodable")
    async with running_pool(jobs, max_concurrent=3):
        await jobs.wait_for_finished(1)
        for _ in range(10):
            await asyncio.sleep(0)
    assert len(jobs.claims) == 1


async def test_queue_is_polled_after_interval() -> None:
    jobs = Jobs()
    async with running_pool(jobs, poll_interval_s=0.001):
        await jobs.wait_for_claims(3)


async def test_queue_is_polled_when_job_is_due_again() -> None:
    jobs = Jobs("a")
    jobs.due_at = NOW + timedelta(milliseconds=1)
    async with running_pool(jobs):
        await jobs.wait_for_claims(2)


async def test_finished_jobs_poll_queue_once_after_configured_delay() -> None:
    jobs = Jobs("a", "b")
    async with running_pool(jobs, max_concurrent=3, poll_delay_after_job_s=0.001):
        await jobs.wait_for_claims(2)
        await jobs.wait_for_finished(2)
        await asyncio.sleep(0.02)
    assert len(jobs.claims) == 2


async def test_finished_job_does_not_poll_queue_without_delay() -> None:
    jobs = Jobs("a")
    async with running_pool(jobs):
        await jobs.wait_for_finished(1)
        for _ in range(10):
            await asyncio.sleep(0)
    assert len(jobs.claims) == 1


@pytest.mark.parametrize(
    "error", [RuntimeError("bug"), ApiError(Reason.INVALID_REQUEST), ExceptionGroup("", [OSError()])]
)
async def test_unexpected_error_fails_one_attempt(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    jobs = Jobs("a", "b")
    jobs.errors["a"] = error
    async with running_pool(jobs, max_concurrent=1, record_failure=jobs.record_failure):
        await jobs.wait_for_finished(1)
    assert (jobs.finished, jobs.failed) == (["b"], ["a"])
    (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert record.getMessage().startswith("test job a failed: ")
    assert record.exc_info is not None
    assert record.exc_info[1] is error


async def test_unrecorded_error_does_not_stop_pool(caplog: pytest.LogCaptureFixture) -> None:
    jobs = Jobs("a", "b")
    jobs.errors["a"] = RuntimeError("bug")
    async with running_pool(jobs, max_concurrent=1):
        await jobs.wait_for_finished(1)
    assert "test job a failed" in caplog.text


async def test_outage_leaves_job_to_expiry_of_its_lease(caplog: pytest.LogCaptureFixture) -> None:
    jobs = Jobs("a", "b")
    jobs.errors["a"] = OUTAGE
    async with running_pool(jobs, max_concurrent=1, record_failure=jobs.record_failure):
        await jobs.wait_for_finished(1)
    assert (jobs.finished, jobs.failed) == (["b"], [])
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith("test job a failed: ")


async def test_error_of_failure_recording_does_not_stop_pool(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(job: FakeJob) -> None:
        raise OUTAGE

    jobs = Jobs("a", "b")
    jobs.errors["a"] = RuntimeError("bug")
    async with running_pool(jobs, max_concurrent=1, record_failure=fail):
        await jobs.wait_for_finished(1)
    assert "recording the failure of test job a failed" in caplog.text


async def test_error_of_tracing_does_not_stop_pool(caplog: pytest.LogCaptureFixture) -> None:
    @contextmanager
    def trace(job: FakeJob) -> Iterator[None]:
        if job.id == "a":
            raise ValueError("invalid trace context")
        yield

    jobs = Jobs("a", "b")
    async with running_pool(jobs, max_concurrent=1, trace=trace):
        await jobs.wait_for_finished(1)
    assert jobs.finished == ["b"]
    assert "invalid trace context" in caplog.text


async def test_error_is_logged_inside_trace() -> None:
    events: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            events.append("logged")

    @contextmanager
    def trace(job: FakeJob) -> Iterator[None]:
        events.append(f"begin {job.id}")
        yield
        events.append(f"end {job.id}")

    jobs = Jobs("a", "b")
    jobs.errors["a"] = RuntimeError("bug")
    handler = Handler()
    worker_pool.log.addHandler(handler)
    try:
        async with running_pool(jobs, max_concurrent=1, trace=trace):
            await jobs.wait_for_finished(1)
    finally:
        worker_pool.log.removeHandler(handler)
    assert events == ["begin a", "logged", "end a", "begin b", "end b"]


@pytest.mark.parametrize(("error", "level"), [(OUTAGE, logging.WARNING), (RuntimeError("bug"), logging.ERROR)])
async def test_failed_claims_are_repeated(error: Exception, level: int, caplog: pytest.LogCaptureFixture) -> None:
    jobs = Jobs("a")
    jobs.claim_errors = [error, error]
    async with running_pool(jobs, poll_interval_s=0.001):
        await jobs.wait_for_finished(1)
    assert [record.levelno for record in caplog.records] == [level, level]


async def test_running_job_is_finished_after_cancellation() -> None:
    jobs = Jobs("a")
    jobs.released.clear()
    async with running_pool(jobs):
        await jobs.wait_for_running(1)
        asyncio.get_running_loop().call_soon(jobs.released.set)
    assert jobs.finished == ["a"]


async def test_running_job_is_cancelled_after_drain_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_pool, "DRAIN_TIMEOUT_S", 0.01)
    jobs = Jobs("a")
    jobs.released.clear()
    async with running_pool(jobs):
        await jobs.wait_for_running(1)
    assert jobs.finished == []
    assert asyncio.all_tasks() == {asyncio.current_task()}


def reserve(pool: WorkerPool[FakeJob]) -> Reservation[FakeJob]:
    reservation = pool.reserve()
    assert reservation is not None
    return reservation


def can_reserve(pool: WorkerPool[FakeJob]) -> bool:
    reservation = pool.reserve()
    if reservation is not None:
        with reservation:
            pass
    return reservation is not None


async def test_reserved_worker_starts_leased_job_without_claim() -> None:
    jobs = Jobs()
    async with running_pool(jobs) as pool:
        await jobs.wait_for_claims(1)
        with reserve(pool) as reservation:
            assert reservation.lease_until == NOW + LEASE
            reservation.start(FakeJob("a"))
        await jobs.wait_for_finished(1)
        assert can_reserve(pool)
    assert len(jobs.claims) == 1


async def test_worker_is_reserved_only_while_one_is_free() -> None:
    jobs = Jobs()
    jobs.released.clear()
    async with running_pool(jobs) as pool:
        assert not can_reserve(pool)
        await jobs.wait_for_claims(1)
        first = reserve(pool)
        with reserve(pool):
            assert not can_reserve(pool)
            first.start(FakeJob("a"))
            assert not can_reserve(pool)
        reserve(pool).start(FakeJob("b"))
        await jobs.wait_for_running(2)
        assert not can_reserve(pool)
        jobs.released.set()


async def test_claims_leave_reserved_workers_free() -> None:
    jobs = Jobs()
    async with running_pool(jobs) as pool:
        await jobs.wait_for_claims(1)
        with reserve(pool):
            with reserve(pool):
                jobs.pending = [FakeJob("a")]
                pool.wakeup.set()
                for _ in range(10):
                    await asyncio.sleep(0)
                assert len(jobs.claims) == 1
            await jobs.wait_for_finished(1)
            assert jobs.claims[1][0] == 1


async def test_worker_is_not_reserved_while_jobs_wait() -> None:
    jobs = Jobs("a", "b")
    jobs.released.clear()
    async with running_pool(jobs) as pool:
        await jobs.wait_for_running(2)
        assert not can_reserve(pool)
        jobs.released.set()
        await wait_until_async(lambda: can_reserve(pool), interval_s=0)
    assert len(jobs.claims) == 2


async def test_job_of_reservation_is_finished_after_cancellation() -> None:
    jobs = Jobs()
    async with running_pool(jobs) as pool:
        await jobs.wait_for_claims(1)
        asyncio.get_running_loop().call_later(0.01, reserve(pool).start, FakeJob("a"))
    assert not can_reserve(pool)
    assert jobs.finished == ["a"]


async def test_jobs_of_reservations_have_contexts_of_their_own() -> None:
    variable: ContextVar[str] = ContextVar("variable", default="pool")
    values: list[str] = []
    jobs = Jobs()

    async def run(job: FakeJob) -> None:
        values.append(variable.get())
        variable.set(job.id)
        await Jobs.run(jobs, job)

    jobs.run = run  # type: ignore[method-assign]
    async with running_pool(jobs) as pool:
        await jobs.wait_for_claims(1)
        variable.set("test")
        for name in ("a", "b"):
            reserve(pool).start(FakeJob(name))
        await jobs.wait_for_finished(2)
    assert values == ["pool", "pool"]


@pytest.mark.parametrize("error", [OUTAGE, ValueError("bug")])
async def test_failed_claim_is_retried_after_the_whole_interval(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_pool, "compute_delay_s", lambda _: 0.0)
    jobs = Jobs("a")
    jobs.claim_errors = [error]
    async with running_pool(jobs):
        await jobs.wait_for_claims(1)
        for _ in range(5):
            await asyncio.sleep(0)
        assert len(jobs.claims) == 1
