"""Statements of delivery jobs, and the order of their rows; integration tests execute them."""

import itertools
from datetime import timedelta
from typing import Any, cast

import msgspec

from services.notifications.adapters.postgres import delivery_queue
from services.notifications.adapters.postgres.delivery_queue import PostgresDueJobsQueue, PostgresJobStore
from services.notifications.domain.delivery_state import DeliveryJob
from services.notifications.domain.notifications import Notification, Status
from services.runtime.concurrency.worker_pool import ClaimedJobs
from services.runtime.storage.database import Database
from services.runtime.storage.encryption import SecretBox
from tests.unit.fake_transactions import NOW


class FakeDatabase:
    """Records the parameters of statements, which return `rows`."""

    def __init__(self, *rows: dict[str, Any]) -> None:
        self.rows = rows
        self.values: list[dict[str, list[Any]]] = []

    async def fetch_all(self, _statement: object, **values: Any) -> list[dict[str, Any]]:
        self.values.append(values)
        return list(self.rows)


def build_job(job_id: str) -> DeliveryJob:
    notification = Notification(job_id, "ada", "orders.paid", None, "orders", "T", "B", Status.QUEUED, NOW)
    return DeliveryJob(notification, 5, NOW + timedelta(hours=1))


async def test_new_jobs_are_inserted_in_a_common_order() -> None:
    """Concurrent statements that lock common inbox entries in different orders would deadlock."""
    database = FakeDatabase()
    store = PostgresJobStore(cast(Database, database), cast(SecretBox, None))
    events = [("q2", "a"), ("q1", "b"), ("q1", "a")]
    for order in itertools.permutations(events):
        await store.add_new({event: build_job(event[1]) for event in order})
    for values in database.values:
        assert list(zip(values["queue"], values["event_id"], strict=True)) == sorted(events)
        assert values["id"] == values["event_id"]


def test_results_are_published_for_held_leases_only() -> None:
    sql = " ".join(delivery_queue._COMPLETE.sql.decode().split())
    assert "delivery_jobs.id = results.job_id AND delivery_jobs.due_at = results.lease_token" in sql
    assert "completed.job_id = results.job_id AND completed.lease_token = results.lease_token" in sql


def test_job_of_processed_event_is_not_inserted() -> None:
    sql = " ".join(delivery_queue._ADD_NEW.sql.decode().split())
    assert "new_events.queue = new_jobs.queue AND new_events.event_id = new_jobs.event_id" in sql


def build_row(job_id: str, priority: int, **changes: Any) -> dict[str, Any]:
    notification = msgspec.to_builtins(build_job(job_id).notification)
    unset = dict.fromkeys(("mail", "provider", "since", "accepted", "unclear"))
    row = {"id": job_id, "priority": priority, "due_at": NOW, "expires_at": NOW, "notification": notification}
    return row | unset | {"rounds": 0, "final_addresses": [], "trace": {}, "user_id": "ada"} | changes


async def test_most_urgent_of_the_leased_jobs_is_first() -> None:
    rows = (
        build_row("a", 1),
        build_row("undecodable", 9, notification={}, expires_at=NOW + timedelta(1)),
        build_row("b", 5),
    )
    queue = PostgresDueJobsQueue(cast(Database, FakeDatabase(*rows)), cast(SecretBox, None), cast(Any, None))
    claimed = await queue.claim(1, 3, NOW, NOW)
    assert isinstance(claimed, ClaimedJobs)
    assert ([job.id for job in claimed], claimed.leased) == (["b", "a"], 3)
