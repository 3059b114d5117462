"""Contact data: devices of a version, and a tombstone after the deletion."""

from datetime import timedelta

import pytest

from services.notifications.domain.notifications import Device, Provider, User
from services.notifications.usecases import contacts
from services.notifications.usecases.contacts import UNKNOWN_REGISTRATION_TIME
from tests.unit.notifications.fakes import ADA, START_TIME, FakeBackend

PHONE = Device(Provider.FCM, "phone")


@pytest.mark.parametrize("registered_at", [START_TIME, None])
async def test_device_is_registered_with_contact_data(registered_at) -> None:
    backend = FakeBackend(user=None)
    await contacts.upsert_contact(backend, ADA, "phone", registered_at)
    assert (backend.only_user, list(backend.user_devices)) == (ADA, [PHONE])
    assert backend.registered_at == (registered_at or UNKNOWN_REGISTRATION_TIME)


async def test_version_without_token_removes_devices() -> None:
    backend = FakeBackend(PHONE)
    await contacts.upsert_contact(backend, ADA, None)
    assert (backend.only_user, list(backend.user_devices)) == (ADA, [])


async def test_deletion_leaves_a_tombstone() -> None:
    backend = FakeBackend(PHONE)
    await contacts.upsert_contact(backend, ADA, "phone", START_TIME - timedelta(days=1))
    await contacts.delete_contact(backend, backend, "ada", 9)
    assert (backend.only_user, list(backend.user_devices)) == (User("ada", "", None, None, 9), [])
    assert backend.registered_at is None


async def test_contact_is_unchanged_after_failed_deletion() -> None:
    class UnavailableJobs(FakeBackend):
        @property
        def jobs(self):  # type: ignore[no-untyped-def]
            raise ConnectionError

        @jobs.setter
        def jobs(self, _: object) -> None:
            """Ignore the jobs."""

    backend = UnavailableJobs(PHONE)
    with pytest.raises(ConnectionError):
        await contacts.delete_contact(backend, backend, "ada", 9)
    assert (backend.only_user, list(backend.user_devices)) == (ADA, [PHONE])
