"""Workers that deliver notifications: minimum priority, lease, and errors of one delivery."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import pytest

from services.notifications.domain.delivery_state import DeliveryJob
from services.notifications.domain.notifications import Notification, Status
from services.notifications.entrypoints.delivery_workers import DeliveryWorkerPools, create_delivery_workers
from services.runtime.concurrency.worker_pool import WorkerPool
from tests.unit.notifications.fakes import START_TIME
from tests.wait import wait_until_async

LEASE = timedelta(minutes=1)


def build_job(job_id: str) -> DeliveryJob:
    notification = Notification(job_id, "ada", "e", None, "orders", "T", "B", Status.QUEUED, START_TIME)
    return DeliveryJob(notification, 5, START_TIME + timedelta(hours=1))


class Deliveries:
    """Queue and delivery function; the delivery of the job `invalid` fails."""

    def __init__(self, *job_ids: str) -> None:
        self.pending = [build_job(job_id) for job_id in job_ids]
        self.delivered: list[str] = []
        self.claims: list[tuple[int, int, datetime, datetime]] = []

    async def claim(
        self, min_priority: int, limit: int, now: datetime, lease_expires_at: datetime
    ) -> Sequence[DeliveryJob]:
        self.claims.append((min_priority, limit, now, lease_expires_at))
        claimed, self.pending = self.pending[:limit], self.pending[limit:]
        return claimed

    async def deliver(self, job: DeliveryJob) -> None:
        if job.id == "invalid":
            raise ValueError("invalid token")
        self.delivered.append(job.id)

    async def wait_for(self, condition: Callable[[], bool]) -> None:
        await wait_until_async(condition, interval_s=0)


@asynccontextmanager
async def running_workers(deliveries: Deliveries) -> AsyncIterator[WorkerPool[DeliveryJob]]:
    pool = create_delivery_workers(
        deliveries, deliveries.deliver, lambda: START_TIME, min_priority=8, workers=2, lease=LEASE
    )
    task = asyncio.create_task(pool.run())
    try:
        async with asyncio.timeout(5):
            yield pool
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_jobs_of_minimum_priority_are_leased() -> None:
    deliveries = Deliveries("a", "b", "c")
    async with running_workers(deliveries):
        await deliveries.wait_for(lambda: len(deliveries.delivered) == 3)
    assert deliveries.claims[0] == (8, 2, START_TIME, START_TIME + LEASE)


async def test_woken_workers_deliver_new_job() -> None:
    deliveries = Deliveries()
    async with running_workers(deliveries) as pool:
        await deliveries.wait_for(lambda: len(deliveries.claims) == 1)
        deliveries.pending = [build_job("a")]
        pool.wakeup.set()
        await deliveries.wait_for(lambda: deliveries.delivered == ["a"])
    assert len(deliveries.claims) == 2


async def test_error_of_one_delivery_does_not_stop_workers(caplog: pytest.LogCaptureFixture) -> None:
    deliveries = Deliveries("invalid", "a")
    async with running_workers(deliveries):
        await deliveries.wait_for(lambda: deliveries.delivered == ["a"])
    assert "notification invalid failed" in caplog.text
    assert "invalid token" in caplog.text


async def test_worker_is_reserved_in_pool_of_priority() -> None:
    normal, urgent = Deliveries(), Deliveries()
    async with running_workers(normal) as normal_pool, running_workers(urgent) as urgent_pool:
        workers = DeliveryWorkerPools({1: normal_pool, 8: urgent_pool})
        await normal.wait_for(lambda: len(normal.claims) == len(urgent.claims) == 1)
        reservations = [workers.reserve(7), workers.reserve(7)]
        assert workers.reserve(7) is None
        reservations += [workers.reserve(8), workers.reserve(8)]
        assert workers.reserve(8) is None
        for index, reservation in enumerate(reservations):
            assert reservation is not None
            reservation.start(build_job(str(index)))
        await normal.wait_for(lambda: len(urgent.delivered) == 2)
        assert (normal.delivered, urgent.delivered) == (["0", "1"], ["2", "3"])
        workers.notify()
        await normal.wait_for(lambda: len(normal.claims) == len(urgent.claims) == 2)
