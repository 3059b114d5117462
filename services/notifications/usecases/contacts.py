"""Where users are reached."""

from typing import Protocol

from services.notifications.domain.notifications import User
from services.notifications.usecases.ports import HistoryRepository, UserRepository


class PendingJobs(Protocol):
    """What has not been said yet."""

    async def discard_for_user(self, user_id: str) -> None:
        """Removes what a user was to be told."""


async def upsert_contact(users: UserRepository, user: User, token: str | None) -> None:
    """The newest version wins, whatever order they come in. Every device counts since there last was none."""
    await users.upsert_user(user, token)


async def delete_contact(
    users: UserRepository, pending_jobs: PendingJobs, history: HistoryRepository, user_id: str, version: int
) -> None:
    """Leaves a mark of the id alone, so that an older event that comes later brings nothing back."""
    await users.upsert_user(User(user_id, "", None, None, version), None)
    await pending_jobs.discard_for_user(user_id)
    await history.delete_for_user(user_id)
