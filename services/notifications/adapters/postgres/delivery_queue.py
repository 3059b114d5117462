"""Delivery jobs in PostgreSQL."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, override

import msgspec
from psycopg.types.json import Jsonb
from sqlalchemy import Column, Text, bindparam, delete, false, insert, literal, select
from sqlalchemy.dialects.postgresql import array

from services.notifications.adapters.postgres.tables import delivery_jobs
from services.notifications.domain.delivery_state import DeliveryJob, Lease, SourceKey
from services.notifications.domain.notifications import Mail, Notification, Provider
from services.notifications.usecases.delivery_jobs import DueJobsQueue
from services.notifications.usecases.ports import JobRepository, JobStore, PreparedEvent
from services.runtime.messaging import inbox
from services.runtime.messaging.outbox import EVENT_COLUMNS, build_publication
from services.runtime.storage.database import Database
from services.runtime.storage.encryption import SecretBox
from services.runtime.storage.job_queue import JobQueue, JobTable
from services.runtime.storage.statements.row_parameters import build_rows, collect_columns
from services.runtime.storage.statements.statement import Statement
from services.runtime.storage.transactions.transaction import Transaction

_JOBS = JobTable(delivery_jobs, lease_end=delivery_jobs.c.due_at)
_CLAIM = _JOBS.build_claim(
    select(delivery_jobs.c.id)
    .where(delivery_jobs.c.due_at <= bindparam("now"), delivery_jobs.c.priority >= bindparam("min_priority"))
    .order_by(delivery_jobs.c.priority.desc(), delivery_jobs.c.due_at),
    returning=list(delivery_jobs.c),
)
_MUTABLE_COLUMNS = ("notification", "due_at", "provider", "since", "rounds", "final_addresses", "accepted", "unclear")
_RESCHEDULE = _JOBS.build_leased_update({name: bindparam(name) for name in _MUTABLE_COLUMNS})
_NEW_JOB_COLUMNS = [
    delivery_jobs.c[name]
    for name in ("id", "user_id", "priority", "due_at", "expires_at", "notification", "mail", "trace")
]
_INITIAL_VALUES = {
    "rounds": literal(0),
    "final_addresses": array([], type_=Text),
    "accepted": false(),
    "unclear": false(),
}
_new_jobs = build_rows("new_jobs", [Column("queue", Text), Column("event_id", Text), *_NEW_JOB_COLUMNS])
_new_events = inbox.build_new_events(_new_jobs)
_inserted_jobs = (
    insert(delivery_jobs)
    .from_select(
        [*(column.name for column in _NEW_JOB_COLUMNS), *_INITIAL_VALUES],
        select(*(_new_jobs.c[column.name] for column in _NEW_JOB_COLUMNS), *_INITIAL_VALUES.values()).join(
            _new_events,
            (_new_events.c.queue == _new_jobs.c.queue) & (_new_events.c.event_id == _new_jobs.c.event_id),
        ),
    )
    .cte("inserted_jobs")
)
_ADD_NEW = Statement(select(_new_events.c.queue, _new_events.c.event_id).add_cte(_inserted_jobs))
_results = build_rows(
    "results", [Column("job_id", Text), Column("lease_token", _JOBS.lease_token.type), *EVENT_COLUMNS]
)
_completed = _JOBS.build_leased_delete(_results).cte("completed")
_published = build_publication(
    select(_results)
    .join(_completed, (_completed.c.job_id == _results.c.job_id) & (_completed.c.lease_token == _results.c.lease_token))
    .subquery()
)
_COMPLETE = Statement(select(_completed.c.job_id, _completed.c.lease_token).add_cte(_published))
_DELETE_FOR_USER = Statement(
    delete(delivery_jobs).where(delivery_jobs.c.user_id == bindparam("user_id"), delivery_jobs.c.mail.is_(None))
)


class PostgresDueJobsQueue(DueJobsQueue):
    """Queue of due jobs in PostgreSQL.

    When a job that cannot be decoded expires, `fail` is called with its lease and its user's id.
    """

    def __init__(
        self, database: Database, secret_box: SecretBox, fail: Callable[[Lease, str], Awaitable[None]]
    ) -> None:
        self._secret_box = secret_box
        self._jobs = JobQueue(
            "notification",
            database,
            _CLAIM,
            self._to_job,
            is_exhausted=lambda row, now: row["expires_at"] <= now,
            fail=lambda row: fail((row["id"], row["due_at"]), row["user_id"]),
        )

    @override
    async def claim(
        self, min_priority: int, limit: int, now: datetime, lease_expires_at: datetime
    ) -> Sequence[DeliveryJob]:
        jobs = await self._jobs.claim(limit, now, lease_expires_at, min_priority=min_priority)
        jobs.sort(key=lambda job: -job.priority)
        return jobs

    def _to_job(self, row: Mapping[str, Any]) -> DeliveryJob:
        mail = row["mail"]
        return DeliveryJob(
            notification=msgspec.convert(row["notification"], Notification),
            priority=row["priority"],
            expires_at=row["expires_at"],
            mail=None if mail is None else msgspec.json.decode(self._secret_box.decrypt(mail), type=Mail),
            provider=None if row["provider"] is None else Provider(row["provider"]),
            provider_started_at=row["since"],
            rounds=row["rounds"],
            final_addresses=tuple(row["final_addresses"]),
            is_accepted=row["accepted"],
            has_unclear_response=row["unclear"],
            lease_expires_at=row["due_at"],
            trace_context=tuple(row["trace"].items()),
        )


class PostgresJobStore(JobStore):
    """Delivery jobs in PostgreSQL. Each method executes one statement."""

    def __init__(self, database: Database, secret_box: SecretBox) -> None:
        self._database = database
        self._secret_box = secret_box

    @override
    async def add_new(self, jobs: Mapping[SourceKey, DeliveryJob]) -> set[SourceKey]:
        # In a common order, so that concurrent statements with the same events do not deadlock.
        rows = [
            {"queue": queue, "event_id": event_id, **self._to_new_row(job)}
            for (queue, event_id), job in sorted(jobs.items(), key=lambda item: item[0])
        ]
        new_events = await self._database.fetch_all(_ADD_NEW, **collect_columns(rows))
        return {(row["queue"], row["event_id"]) for row in new_events}

    def _to_new_row(self, job: DeliveryJob) -> dict[str, object]:
        return {
            "id": job.id,
            "user_id": job.notification.user_id,
            "priority": job.priority,
            "due_at": job.lease_expires_at or job.notification.created_at,
            "expires_at": job.expires_at,
            "notification": Jsonb(job.notification),
            "mail": self._secret_box.encrypt(msgspec.json.encode(job.mail).decode()) if job.mail else None,
            "trace": Jsonb(dict(job.trace_context)),
        }

    @override
    async def reschedule(self, job: DeliveryJob, due_at: datetime) -> bool:
        values = _to_mutable_values(job, due_at)
        lease_token = job.lease_expires_at
        return await self._database.execute(_RESCHEDULE, job_id=job.id, lease_token=lease_token, **values) == 1

    @override
    async def complete(self, results: Mapping[Lease, PreparedEvent]) -> set[Lease]:
        rows = [
            {"job_id": job_id, "lease_token": lease_token, **event} for (job_id, lease_token), event in results.items()
        ]
        completed = await self._database.fetch_all(_COMPLETE, **collect_columns(rows))
        return {(row["job_id"], row["lease_token"]) for row in completed}


class PostgresJobRepository(JobRepository):
    """Delivery jobs of one transaction in PostgreSQL."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    @override
    async def delete_for_user(self, user_id: str) -> None:
        await self._transaction.execute(_DELETE_FOR_USER, user_id=user_id)


def _to_mutable_values(job: DeliveryJob, due_at: datetime) -> dict[str, object]:
    """Return the values of the columns that change during delivery."""
    return {
        "notification": Jsonb(job.notification),
        "due_at": due_at,
        "provider": job.provider,
        "since": job.provider_started_at,
        "rounds": job.rounds,
        "final_addresses": list(job.final_addresses),
        "accepted": job.is_accepted,
        "unclear": job.has_unclear_response,
    }
