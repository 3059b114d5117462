"""The history of notifications in the document store: one document each, by id."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from pymongo import DESCENDING, ReplaceOne
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError

from services.notifications.domain.notifications import Attempt, Notification, Provider, Status
from services.notifications.usecases.ports import Wanted
from services.runtime.batches import Batches
from services.runtime.documents import Document, available

MAILS = "emails.requested"
"""The event of mails, which are in the history, but no notifications to their reader."""


AT_ONCE = 50
"""Documents that go to the store at once."""

DUPLICATE = 11000
"""The error of a document whose id is taken."""


class NotificationsDocuments:
    """The collection `notifications`. What starts or is saved at the same time goes to the store at once."""

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._notifications = database["notifications"]
        self._starting = Batches(self._start_all, AT_ONCE)
        self._saving = Batches(self._save_all, AT_ONCE)

    async def prepare(self) -> None:
        """Makes the indexes that are missing."""
        newest = [("created_at", DESCENDING), ("_id", DESCENDING)]
        with available():
            for first in ((), ("user_id",), ("agent_id",), ("status",)):
                await self._notifications.create_index([*((name, DESCENDING) for name in first), *newest])

    async def start(self, notification: Notification) -> None:
        """Keeps a new notification, unless there is one of the same id."""
        await self._starting.do(notification)

    async def _start_all(self, notifications: Sequence[Notification]) -> Sequence[None]:
        with available():
            try:
                await self._notifications.insert_many([_document(one) for one in notifications], ordered=False)
            except BulkWriteError as error:
                if any(wrong["code"] != DUPLICATE for wrong in error.details["writeErrors"]):
                    raise
        return [None] * len(notifications)

    async def save(self, notification: Notification) -> None:
        """Keeps how it stands now."""
        await self._saving.do(notification)

    async def _save_all(self, notifications: Sequence[Notification]) -> Sequence[None]:
        with available():
            await self._notifications.bulk_write(
                [ReplaceOne({"_id": one.id}, _document(one), upsert=True) for one in notifications]
            )
        return [None] * len(notifications)

    async def forget(self, user_id: str) -> None:
        """Removes what a user was told."""
        with available():
            await self._notifications.delete_many({"user_id": user_id})

    async def clear(self, before: datetime) -> int:
        """Removes what is older; returns how many."""
        with available():
            return (await self._notifications.delete_many({"created_at": {"$lt": before}})).deleted_count

    async def find(
        self, wanted: Wanted, size: int, before: tuple[datetime, str] | None, *, mails: bool
    ) -> Sequence[Notification]:
        """Newest first."""
        filters: Document = {name: value for name, value in wanted._asdict().items() if value is not None}
        if not mails:
            filters["event"] = {"$ne": MAILS}
        if before is not None:
            at, last = before
            filters["$or"] = [{"created_at": {"$lt": at}}, {"created_at": at, "_id": {"$lt": last}}]
        with available():
            cursor = self._notifications.find(filters).sort([("created_at", DESCENDING), ("_id", DESCENDING)])
            return [_notification(document) for document in await cursor.limit(size).to_list()]


def _document(notification: Notification) -> Document:
    document = asdict(notification)
    return {"_id": document.pop("id"), **document}


def _notification(document: Document) -> Notification:
    values = dict(document)
    attempts = tuple(Attempt(Provider(a["provider"]), a["at"], a["outcome"]) for a in values.pop("attempts"))
    return Notification(id=values.pop("_id"), status=Status(values.pop("status")), attempts=attempts, **values)
