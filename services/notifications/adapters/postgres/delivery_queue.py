"""Queue of delivery jobs in PostgreSQL, ordered by priority."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, override

import msgspec
from psycopg.types.json import Jsonb
from sqlalchemy import bindparam, delete, insert, select

from generated.events import NotificationsEvent
from generated.proto.delivery.events.v1 import NotificationFailed
from services.notifications.adapters.postgres.tables import delivery_jobs
from services.notifications.domain.delivery_state import DeliveryJob
from services.notifications.domain.notifications import Mail, Notification, Provider
from services.notifications.usecases.ports import DeliveryQueue, HistoryRepository
from services.runtime.concurrency.micro_batching import MicroBatcher
from services.runtime.core.clock import Clock
from services.runtime.messaging import inbox
from services.runtime.messaging.outbox import Outbox
from services.runtime.storage.database import Database, Statement
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

_UNDECODABLE_REASON = "INTERNAL_ERROR"
"""Reason of a failed notification whose job could not be decoded."""


type _PendingInsert = tuple[str, str, Mapping[str, object]]
"""Source queue and id of the event, and the row of its job."""

type _PendingCompletion = tuple[DeliveryJob, Mapping[str, object] | None]
"""A finished job and the outbox row of its result event."""


class PostgresDeliveryQueue(DeliveryQueue):
    """Job queue of deliveries. Every method is one transaction; concurrent `add` and `complete` calls share one.

    A job that cannot be decoded fails when it expires.
    """

    def __init__(
        self,
        database: Database,
        outbox: Outbox[NotificationsEvent],
        secret_box: SecretBox,
        history: HistoryRepository,
        clock: Clock,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._secret_box = secret_box
        self._history = history
        self._clock = clock
        self._jobs = JobQueue(
            "notification",
            database,
            _CLAIM,
            self._to_job,
            is_exhausted=lambda row, now: row["expires_at"] <= now,
            fail=self._fail,
        )
        self._insert_batcher = MicroBatcher(self._insert_all)
        self._completion_batcher = MicroBatcher(self._complete_all)

    @override
    async def add(self, source_queue: str, event_id: str, job: DeliveryJob) -> bool:
        mail = self._secret_box.encrypt(msgspec.json.encode(job.mail).decode()) if job.mail else None
        row = {
            "id": job.id,
            "user_id": job.notification.user_id,
            "priority": job.priority,
            "expires_at": job.expires_at,
            "mail": mail,
            "trace": Jsonb(dict(job.trace_context)),
            **_to_mutable_values(job, job.notification.created_at),
        }
        return await self._insert_batcher.submit((source_queue, event_id, row))

    async def _insert_all(self, items: Sequence[_PendingInsert]) -> Sequence[bool]:
        async with self._database.transaction() as transaction:
            new = await inbox.mark_processed_many(transaction, ((queue, event_id) for queue, event_id, _ in items))
            rows = {(queue, event_id): row for queue, event_id, row in reversed(items) if (queue, event_id) in new}
            await transaction.execute_many(_INSERT, list(rows.values()))
        return [rows.get((queue, event_id)) is row for queue, event_id, row in items]

    @override
    async def claim(
        self, min_priority: int, limit: int, now: datetime, lease_expires_at: datetime
    ) -> Sequence[DeliveryJob]:
        jobs = await self._jobs.claim(limit, now, lease_expires_at, min_priority=min_priority)
        return sorted(jobs, key=lambda job: -job.priority)

    @override
    async def reschedule(self, job: DeliveryJob, due_at: datetime) -> bool:
        values = _to_mutable_values(job, due_at)
        return await self._database.execute(_RESCHEDULE, job_id=job.id, lease_token=job.lease_expires_at, **values) == 1

    @override
    async def complete(self, job: DeliveryJob, event: NotificationsEvent | None) -> bool:
        return await self._completion_batcher.submit((job, None if event is None else self._outbox.to_row(event)))

    async def _complete_all(self, items: Sequence[_PendingCompletion]) -> Sequence[bool]:
        async with self._database.transaction() as transaction:
            leases = [(job.id, job.lease_expires_at) for job, _ in items]
            deleted = await delete_leased(transaction, _DELETE_COMPLETED, leases)
            events = [event for job, event in items if event is not None and (job.id, job.lease_expires_at) in deleted]
            await self._outbox.add_many(transaction, events)
        return [lease in deleted for lease in leases]

    async def discard_for_user(self, user_id: str) -> None:
        """Delete a user's pending notifications, but not account mails, which include the confirmation of deletion."""
        await self._database.execute(_DELETE_FOR_USER, user_id=user_id)

    async def _fail(self, row: Mapping[str, Any]) -> None:
        """Store the failure in the history, then delete the job and publish its result event."""
        job_id, lease = row["id"], (row["id"], row["due_at"])
        await self._history.set_failed(job_id, _UNDECODABLE_REASON)
        event = NotificationFailed(
            notification_id=job_id, user_id=row["user_id"], reason=_UNDECODABLE_REASON, at=self._clock()
        )
        async with self._database.transaction() as transaction:
            if await delete_leased(transaction, _DELETE_COMPLETED, [lease]):
                await self._outbox.add(transaction, event)

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
