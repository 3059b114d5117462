"""MongoDB repository of the notification history."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import override

from pymongo import DESCENDING, InsertOne, ReplaceOne
from pymongo.asynchronous.database import AsyncDatabase

from services.notifications.domain.notifications import (
    RETAINED_STATUSES,
    Attempt,
    HistoryFilter,
    Notification,
    Provider,
    Status,
)
from services.notifications.usecases.ports import HistoryRepository
from services.runtime.concurrency.micro_batching import MicroBatcher
from services.runtime.storage.mongo import Document, map_unavailable, write_batch

EMAIL_EVENT_TYPE = "emails.requested"
"""Event type of account mails, which are not listed as notifications of the user."""

MAX_BATCH_SIZE = 50
"""Maximum number of documents per bulk write."""

UPSERT_DELAY_S = 0.02
"""Delay in which further results of deliveries may arrive. They are stored, and then completed, in one batch."""

_NOTIFICATION_FIELDS = [field.name for field in fields(Notification) if field.name != "id"]


class MongoHistoryRepository(HistoryRepository):
    """Collection `notifications`. Concurrent writes are micro-batched into one bulk write."""

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._notifications = database["notifications"]
        self._insert_batcher = MicroBatcher(self._insert_all, MAX_BATCH_SIZE)
        self._upsert_batcher = MicroBatcher(self._upsert_all, MAX_BATCH_SIZE, delay_s=UPSERT_DELAY_S)

    @override
    async def insert_if_absent(self, notification: Notification) -> None:
        await self._insert_batcher.submit(notification)

    async def _insert_all(self, notifications: Sequence[Notification]) -> Sequence[None]:
        insertions = [InsertOne(_to_document(notification)) for notification in notifications]
        await write_batch(self._notifications, insertions, ignore_duplicates=True)
        return [None] * len(notifications)

    @override
    async def upsert(self, notification: Notification) -> None:
        await self._upsert_batcher.submit(notification)

    async def _upsert_all(self, notifications: Sequence[Notification]) -> Sequence[None]:
        replacements = [
            ReplaceOne(_build_replaced_filter(notification), _to_document(notification), upsert=True)
            for notification in notifications
        ]
        duplicates = await write_batch(self._notifications, replacements, ignore_duplicates=True)
        if duplicates:
            # The key is a duplicate if the stored status is retained, or if the document was inserted concurrently.
            repeated = [replacements[index] for index in duplicates]
            await write_batch(self._notifications, repeated, ignore_duplicates=True)
        return [None] * len(notifications)

    @override
    async def set_failed(self, notification_id: str, reason: str) -> None:
        with map_unavailable():
            await self._notifications.update_one(
                {"_id": notification_id, "status": Status.QUEUED}, {"$set": {"status": Status.FAILED, "reason": reason}}
            )

    @override
    async def delete_for_user(self, user_id: str) -> None:
        with map_unavailable():
            await self._notifications.delete_many({"user_id": user_id})

    async def delete_older_than(self, before: datetime) -> int:
        """Delete notifications created before this time; return their number."""
        with map_unavailable():
            return (await self._notifications.delete_many({"created_at": {"$lt": before}})).deleted_count

    @override
    async def find(
        self, history_filter: HistoryFilter, limit: int, before: tuple[datetime, str] | None, *, include_mails: bool
    ) -> Sequence[Notification]:
        filters: Document = {name: value for name, value in history_filter._asdict().items() if value is not None}
        if not include_mails:
            filters["event"] = {"$ne": EMAIL_EVENT_TYPE}
        if before is not None:
            created_at, last_id = before
            filters["$or"] = [{"created_at": {"$lt": created_at}}, {"created_at": created_at, "_id": {"$lt": last_id}}]
        with map_unavailable():
            cursor = self._notifications.find(filters).sort([("created_at", DESCENDING), ("_id", DESCENDING)])
            return [_from_document(document) for document in await cursor.limit(limit).to_list()]


def _build_replaced_filter(notification: Notification) -> Document:
    """Return the filter for the document that the notification replaces."""
    retained = RETAINED_STATUSES[notification.status]
    return {"_id": notification.id} | ({"status": {"$nin": list(retained)}} if retained else {})


def _to_document(notification: Notification) -> Document:
    document: Document = {name: getattr(notification, name) for name in _NOTIFICATION_FIELDS}
    attempts = [
        {"provider": attempt.provider, "at": attempt.at, "outcome": attempt.outcome}
        for attempt in notification.attempts
    ]
    return {"_id": notification.id, **document, "attempts": attempts}


def _from_document(document: Document) -> Notification:
    values = dict(document)
    attempts = tuple(Attempt(Provider(a["provider"]), a["at"], a["outcome"]) for a in values.pop("attempts"))
    return Notification(id=values.pop("_id"), status=Status(values.pop("status")), attempts=attempts, **values)
