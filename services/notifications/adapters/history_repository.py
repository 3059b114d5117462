"""The history of notifications in the document store: one document each, by id."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from pymongo import DESCENDING, ReplaceOne
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError

from services.notifications.domain.notifications import Attempt, Notification, Provider, Status
from services.notifications.usecases.ports import HistoryFilter
from services.runtime.concurrency.micro_batching import MicroBatcher
from services.runtime.storage.mongo import Document, map_unavailable

EMAIL_EVENT_TYPE = "emails.requested"
"""The event of mails, which are in the history, but no notifications to their reader."""


MAX_BATCH_SIZE = 50
"""Documents that go to the store at once."""

DUPLICATE_KEY_ERROR_CODE = 11000
"""The error of a document whose id is taken."""


class MongoHistoryRepository:
    """The collection `notifications`. What starts or is saved at the same time goes to the store at once."""

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._notifications = database["notifications"]
        self._insert_batcher = MicroBatcher(self._insert_all, MAX_BATCH_SIZE)
        self._upsert_batcher = MicroBatcher(self._upsert_all, MAX_BATCH_SIZE)

    async def create_indexes(self) -> None:
        """Makes the indexes that are missing."""
        newest = [("created_at", DESCENDING), ("_id", DESCENDING)]
        with map_unavailable():
            for first in ((), ("user_id",), ("agent_id",), ("status",)):
                await self._notifications.create_index([*((name, DESCENDING) for name in first), *newest])

    async def insert_if_absent(self, notification: Notification) -> None:
        """Keeps a new notification, unless there is one of the same id."""
        await self._insert_batcher.submit(notification)

    async def _insert_all(self, notifications: Sequence[Notification]) -> Sequence[None]:
        with map_unavailable():
            try:
                await self._notifications.insert_many([_to_document(one) for one in notifications], ordered=False)
            except BulkWriteError as error:
                if any(wrong["code"] != DUPLICATE_KEY_ERROR_CODE for wrong in error.details["writeErrors"]):
                    raise
        return [None] * len(notifications)

    async def upsert(self, notification: Notification) -> None:
        """Keeps how it stands now."""
        await self._upsert_batcher.submit(notification)

    async def _upsert_all(self, notifications: Sequence[Notification]) -> Sequence[None]:
        with map_unavailable():
            await self._notifications.bulk_write(
                [ReplaceOne({"_id": one.id}, _to_document(one), upsert=True) for one in notifications]
            )
        return [None] * len(notifications)

    async def delete_for_user(self, user_id: str) -> None:
        """Removes what a user was told."""
        with map_unavailable():
            await self._notifications.delete_many({"user_id": user_id})

    async def delete_older_than(self, before: datetime) -> int:
        """Removes what is older; returns how many."""
        with map_unavailable():
            return (await self._notifications.delete_many({"created_at": {"$lt": before}})).deleted_count

    async def find(
        self, history_filter: HistoryFilter, limit: int, before: tuple[datetime, str] | None, *, include_mails: bool
    ) -> Sequence[Notification]:
        """Newest first."""
        filters: Document = {name: value for name, value in history_filter._asdict().items() if value is not None}
        if not include_mails:
            filters["event"] = {"$ne": EMAIL_EVENT_TYPE}
        if before is not None:
            at, last = before
            filters["$or"] = [{"created_at": {"$lt": at}}, {"created_at": at, "_id": {"$lt": last}}]
        with map_unavailable():
            cursor = self._notifications.find(filters).sort([("created_at", DESCENDING), ("_id", DESCENDING)])
            return [_from_document(document) for document in await cursor.limit(limit).to_list()]


def _to_document(notification: Notification) -> Document:
    document = asdict(notification)
    return {"_id": document.pop("id"), **document}


def _from_document(document: Document) -> Notification:
    values = dict(document)
    attempts = tuple(Attempt(Provider(a["provider"]), a["at"], a["outcome"]) for a in values.pop("attempts"))
    return Notification(id=values.pop("_id"), status=Status(values.pop("status")), attempts=attempts, **values)
