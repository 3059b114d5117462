"""Contact data of users."""

from datetime import UTC, datetime

from services.notifications.domain.notifications import User
from services.notifications.usecases.ports import HistoryRepository, Repository, UserReader

UNKNOWN_REGISTRATION_TIME = datetime.fromtimestamp(0, UTC)
"""Time of registrations without a time, which the previous release publishes. Any later registration replaces them."""


async def upsert_contact(
    repository: Repository,
    user: User,
    token: str | None,
    registered_at: datetime | None = None,
    devices_removed_until: datetime | None = None,
) -> None:
    """Store a user's contact data and register the device `token`, which the user registered at `registered_at`.

    The newest version is stored regardless of the order of events. A version without a token removes the devices of
    earlier versions. With `devices_removed_until`, it also removes those that the user registered until then.
    """
    async with repository.unit_of_work() as unit:
        await unit.users.save(user)
        if token is None:
            await unit.users.delete_devices(user)
        else:
            await unit.users.register_device(user, token, registered_at or UNKNOWN_REGISTRATION_TIME)
        if devices_removed_until is not None:
            await unit.devices.remove_all(user.user_id, devices_removed_until)


async def delete_contact(repository: Repository, history: HistoryRepository, user_id: str, version: int) -> None:
    """Delete a user's contact data, pending notifications and history, but not pending account mails.

    A tombstone with the user's id remains, so that a late event of an older version does not restore the data.
    """
    tombstone = User(user_id, "", None, None, version)
    async with repository.unit_of_work() as unit:
        await unit.users.save(tombstone)
        await unit.users.delete_devices(tombstone)
        await unit.devices.remove_all(user_id)
        await unit.users.anonymise_registrations(user_id)
        await unit.jobs.delete_for_user(user_id)
    await history.delete_for_user(user_id)


async def delete_history_of_deleted_user(users: UserReader, history: HistoryRepository, user_id: str) -> None:
    """Delete the user's history if the user is deleted.

    This is called after a write to the history that may have happened after the deletion.
    """
    user = await users.get(user_id)
    if user is not None and user.is_deleted:
        await history.delete_for_user(user_id)
