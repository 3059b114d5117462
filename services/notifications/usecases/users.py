"""Where users are reached."""

from typing import Protocol

from services.notifications.domain.notifications import User
from services.notifications.usecases.ports import History, Users


class Waiting(Protocol):
    """What has not been said yet."""

    async def drop(self, user_id: str) -> None:
        """Removes what a user was to be told."""


async def remember(users: Users, user: User, token: str | None) -> None:
    """The newest version wins, whatever order they come in. Every device counts since there last was none."""
    await users.put_user(user, token)


async def forget(users: Users, waiting: Waiting, history: History, user_id: str, version: int) -> None:
    """Leaves a mark of the id alone, so that an older event that comes later brings nothing back."""
    await users.put_user(User(user_id, "", None, None, version), None)
    await waiting.drop(user_id)
    await history.forget(user_id)
