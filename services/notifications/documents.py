"""The history of notifications in the document store: one document each, by id."""

from dataclasses import asdict
from datetime import datetime

from pymongo import DESCENDING
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from services.notifications.domain import Attempt, Notification, Provider, Status
from services.runtime.documents import Document, available


class NotificationsDocuments:
    """The collection `notifications`."""

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._notifications = database["notifications"]

    async def prepare(self) -> None:
        """Makes the index that is missing."""
        with available():
            await self._notifications.create_index(
                [("user_id", DESCENDING), ("created_at", DESCENDING), ("_id", DESCENDING)]
            )

    async def start(self, notification: Notification) -> Notification:
        """Keeps a new notification, or returns the one kept before under the same id."""
        with available():
            try:
                await self._notifications.insert_one(_document(notification))
            except DuplicateKeyError:
                kept = await self._notifications.find_one({"_id": notification.id})
                return notification if kept is None else _notification(kept)
        return notification

    async def save(self, notification: Notification) -> None:
        """Keeps how it stands now."""
        with available():
            await self._notifications.replace_one({"_id": notification.id}, _document(notification), upsert=True)

    async def forget(self, user_id: str) -> None:
        """Removes what a user was told."""
        with available():
            await self._notifications.delete_many({"user_id": user_id})

    async def of_user(self, user_id: str, size: int, before: tuple[datetime, str] | None) -> list[Notification]:
        """Newest first."""
        wanted: Document = {"user_id": user_id}
        if before is not None:
            at, last = before
            wanted["$or"] = [{"created_at": {"$lt": at}}, {"created_at": at, "_id": {"$lt": last}}]
        with available():
            cursor = self._notifications.find(wanted).sort([("created_at", DESCENDING), ("_id", DESCENDING)])
            return [_notification(document) for document in await cursor.limit(size).to_list()]


def _document(notification: Notification) -> Document:
    document = asdict(notification)
    return {"_id": document.pop("id"), **document}


def _notification(document: Document) -> Notification:
    values = dict(document)
    attempts = tuple(Attempt(Provider(a["provider"]), a["at"], a["outcome"]) for a in values.pop("attempts"))
    return Notification(id=values.pop("_id"), status=Status(values.pop("status")), attempts=attempts, **values)
