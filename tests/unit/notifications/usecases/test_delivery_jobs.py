"""Delivery jobs: added once per event and completed once per lease, also in a shared transaction."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from generated.proto.delivery.events.v1 import NotificationSent
from services.notifications.domain.delivery_state import DeliveryJob
from services.notifications.domain.notifications import Notification, Status
from services.notifications.usecases.delivery_jobs import DeliveryJobs
from tests.unit.notifications.fakes import START_TIME, FakeBackend


def build_job(job_id: str) -> DeliveryJob:
    notification = Notification(job_id, "ada", "orders.paid", None, "orders", "T", "B", Status.QUEUED, START_TIME)
    return DeliveryJob(notification, 5, START_TIME + timedelta(hours=1), lease_expires_at=START_TIME)


def build_event(job: DeliveryJob) -> NotificationSent:
    return NotificationSent(notification_id=job.id, user_id="ada", at=START_TIME)


async def test_concurrently_repeated_event_adds_first_job_only() -> None:
    backend = FakeBackend()
    jobs, first, other = DeliveryJobs(backend), build_job("e1"), build_job("e2")
    added = [("q", first), ("q", replace(first, priority=1)), ("q2", replace(first, priority=2)), ("q", other)]
    results = await asyncio.gather(*(jobs.add(queue, job.id, job) for queue, job in added))
    assert results == [True, False, True, True]
    assert backend.jobs.writes == 1
    assert not await jobs.add("q", "e2", other)
    assert set(backend.jobs) == {"e1", "e2"}


async def test_result_of_lost_lease_is_not_published() -> None:
    backend = FakeBackend()
    jobs, held, lost = DeliveryJobs(backend), build_job("e1"), build_job("e2")
    await jobs.add("q", held.id, held)
    results = await asyncio.gather(*(jobs.complete(job.lease, build_event(job)) for job in (lost, held)))
    assert results == [False, True]
    assert (backend.jobs, backend.events) == ({}, [build_event(held)])
    assert backend.jobs.writes == 2


async def test_rescheduled_job_has_its_new_state() -> None:
    backend, job = FakeBackend(), build_job("e1")
    jobs, due_at = DeliveryJobs(backend), START_TIME + timedelta(minutes=1)
    await jobs.add("q", job.id, job)
    assert await jobs.reschedule(replace(job, rounds=2), due_at)
    assert backend.jobs == {"e1": (replace(job, rounds=2), due_at)}
