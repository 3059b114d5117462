"""Contact data of users."""

from datetime import datetime
from typing import Protocol

from services.notifications.domain.notifications import User
from services.notifications.usecases.ports import HistoryRepository, UserRepository


class PendingJobs(Protocol):
    """Delivery jobs that are not finished."""

    async def discard_for_user(self, user_id: str) -> None:
        """Delete the pending notifications of a user."""


async def upsert_contact(users: UserRepository, user: User, token: str | None, registered_at: datetime | None) -> None:
    """Store a user's contact data and register the device `token`, which the user registered at `registered_at`.

    The newest version is stored regardless of the order of events. A version without a token removes the devices of
    earlier versions.
    """
    await users.upsert_user(user, token, registered_at)


async def delete_contact(
    users: UserRepository, pending_jobs: PendingJobs, history: HistoryRepository, user_id: str, version: int
) -> None:
    """Delete a user's contact data, pending notifications and history.

    A tombstone with the user's id remains, so that a late event of an older version does not restore the data.
    """
    await users.delete_user(user_id, version)
    await pending_jobs.discard_for_user(user_id)
    await history.delete_for_user(user_id)
