"""Worker pool: limits, errors of one job, queue outages and cancellation."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import pytest

from generated.problems import Reason
from services.notifications.domain.delivery_state import DeliveryJob
from services.notifications.domain.notifications import Notification, Status
from services.notifications.entrypoints import worker_pool
from services.notifications.entrypoints.worker_pool import WorkerPool
from services.runtime.core.errors import ApiError
from tests.unit.notifications.fakes import START_TIME

LEASE = timedelta(minutes=1)


def build_job(job_id: str) -> DeliveryJob:
    notification = Notification(job_id, "ada", "e", None, "orders", "T", "B", Status.QUEUED, START_TIME)
    return DeliveryJob(notification, 5, START_TIME + timedelta(hours=1))


class Deliveries:
    """Queue and delivery function; jobs listed in `errors` fail, and `failing_claims` claims do."""

    def __init__(self, *job_ids: str) -> None:
        self.pending = [build_job(job_id) for job_id in job_ids]
        self.delivered: list[str] = []
        self.errors: dict[str, Exception] = {}
        self.failing_claims = 0
        self.claims: list[tuple[int, int, datetime, datetime]] = []
        self.released = asyncio.Event()
        self.released.set()
        self.running = 0

    async def claim(
        self, min_priority: int, limit: int, now: datetime, lease_expires_at: datetime
    ) -> Sequence[DeliveryJob]:
        self.claims.append((min_priority, limit, now, lease_expires_at))
        if self.failing_claims:
            self.failing_claims -= 1
            raise ApiError(Reason.UPSTREAM_UNAVAILABLE)
        claimed, self.pending = self.pending[:limit], self.pending[limit:]
        return claimed

    async def deliver(self, job: DeliveryJob) -> None:
        if job.id in self.errors:
            raise self.errors[job.id]
        self.running += 1
        await self.released.wait()
        self.running -= 1
        self.delivered.append(job.id)

    async def wait_for(self, count: int) -> None:
        while len(self.delivered) < count:
            await asyncio.sleep(0)


@asynccontextmanager
async def running_pool(deliveries: Deliveries, workers: int = 2) -> AsyncIterator[WorkerPool]:
    pool = WorkerPool(deliveries, deliveries.deliver, lambda: START_TIME, min_priority=8, workers=workers, lease=LEASE)
    task = asyncio.create_task(pool.run())
    try:
        async with asyncio.timeout(5):
            yield pool
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_jobs_are_leased_up_to_free_workers() -> None:
    deliveries = Deliveries("a", "b", "c")
    async with running_pool(deliveries):
        await deliveries.wait_for(3)
    assert deliveries.claims[0] == (8, 2, START_TIME, START_TIME + LEASE)
    assert max(limit for _, limit, _, _ in deliveries.claims) == 2
    assert sorted(deliveries.delivered) == ["a", "b", "c"]


async def test_notified_pool_claims_without_poll_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_pool, "POLL_INTERVAL_S", 3600)
    deliveries = Deliveries()
    async with running_pool(deliveries) as pool:
        await asyncio.sleep(0)
        deliveries.pending = [build_job("a")]
        pool.notify()
        await deliveries.wait_for(1)


@pytest.mark.parametrize("error", [RuntimeError("bug"), ApiError(Reason.UPSTREAM_UNAVAILABLE)])
async def test_error_of_one_job_does_not_stop_pool(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    deliveries = Deliveries("a", "b")
    deliveries.errors["a"] = error
    async with running_pool(deliveries, workers=1):
        await deliveries.wait_for(1)
    assert deliveries.delivered == ["b"]
    assert "delivery of notification a failed" in caplog.text


async def test_pool_continues_after_queue_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_pool, "POLL_INTERVAL_S", 0)
    deliveries = Deliveries("a")
    deliveries.failing_claims = 2
    async with running_pool(deliveries):
        await deliveries.wait_for(1)


async def test_running_delivery_is_finished_after_cancellation() -> None:
    deliveries = Deliveries("a")
    deliveries.released.clear()
    async with running_pool(deliveries):
        while not deliveries.running:
            await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(deliveries.released.set)
    assert deliveries.delivered == ["a"]
