"""Delivery jobs in PostgreSQL."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, override

import msgspec
from psycopg.types.json import Jsonb
from sqlalchemy import bindparam, delete, insert, select

from services.notifications.adapters.postgres.tables import delivery_jobs
from services.notifications.domain.delivery_state import DeliveryJob, Lease
from services.notifications.domain.notifications import Mail, Notification, Provider
from services.notifications.usecases.delivery_jobs import DueJobsQueue
from services.notifications.usecases.ports import JobRepository
from services.runtime.storage.database import Database, Statement, Transaction
from services.runtime.storage.encryption import SecretBox
from services.runtime.storage.job_queue import JobQueue, JobTable, delete_leased

_INSERT = Statement(insert(delivery_jobs).values({column.name: bindparam(column.name) for column in delivery_jobs.c}))
_JOBS = JobTable(delivery_jobs, lease_end=delivery_jobs.c.due_at)
_CLAIM = _JOBS.build_claim(
    select(delivery_jobs.c.id)
    .where(delivery_jobs.c.due_at <= bindparam("now"), delivery_jobs.c.priority >= bindparam("min_priority"))
    .order_by(delivery_jobs.c.priority.desc(), delivery_jobs.c.due_at),
    returning=list(delivery_jobs.c),
)
_MUTABLE_COLUMNS = ("notification", "due_at", "provider", "since", "rounds", "final_addresses", "accepted", "unclear")
_RESCHEDULE = _JOBS.build_leased_update({name: bindparam(name) for name in _MUTABLE_COLUMNS})
_DELETE_COMPLETED = _JOBS.build_leased_delete()
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
        return sorted(jobs, key=lambda job: -job.priority)

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


class PostgresJobRepository(JobRepository):
    """Delivery jobs of one transaction in PostgreSQL."""

    def __init__(self, transaction: Transaction, secret_box: SecretBox) -> None:
        self._transaction = transaction
        self._secret_box = secret_box

    @override
    async def add_all(self, jobs: Sequence[DeliveryJob]) -> None:
        await self._transaction.execute_many(_INSERT, [self._to_row(job) for job in jobs])

    def _to_row(self, job: DeliveryJob) -> dict[str, object]:
        return {
            "id": job.id,
            "user_id": job.notification.user_id,
            "priority": job.priority,
            "expires_at": job.expires_at,
            "mail": self._secret_box.encrypt(msgspec.json.encode(job.mail).decode()) if job.mail else None,
            "trace": Jsonb(dict(job.trace_context)),
            **_to_mutable_values(job, job.lease_expires_at or job.notification.created_at),
        }

    @override
    async def reschedule(self, job: DeliveryJob, due_at: datetime) -> bool:
        values = _to_mutable_values(job, due_at)
        lease_token = job.lease_expires_at
        return await self._transaction.execute(_RESCHEDULE, job_id=job.id, lease_token=lease_token, **values) == 1

    @override
    async def delete_leased(self, leases: Sequence[Lease]) -> set[Lease]:
        return await delete_leased(self._transaction, _DELETE_COMPLETED, leases)

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
