"""Registered devices on a real database, and their relation to the device in the profile.

The ports are implemented in services.notifications.adapters.postgres.devices.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from generated.problems import Reason
from services.notifications.domain.notifications import MAX_DEVICES, User, compute_device_id
from services.notifications.usecases import contacts, devices
from services.runtime.core.principal import Principal
from services.runtime.storage import migrations
from tests.integration.fixtures.notifications import NotificationsHarness, make_name
from tests.integration.fixtures.servers import Servers
from tests.unit.fake_transactions import raises_reason

START_TIME = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def harness(servers: Servers) -> AsyncIterator[NotificationsHarness]:
    migrations.migrate("notifications", servers.settings("notifications")["DATABASE_URL"])
    async with NotificationsHarness(servers) as harness:
        yield harness


async def register(harness: NotificationsHarness, user_id: str, token: str, seconds: int = 0) -> str:
    principal = Principal(user_id, "customer", "", True, START_TIME)
    at = START_TIME + timedelta(seconds=seconds)
    return (await devices.register_device(harness.repository, lambda: at, principal, token, None)).id


async def list_ids(harness: NotificationsHarness, user_id: str) -> list[str]:
    return [device.id for device in await harness.repository.devices.list_for_user(user_id)]


async def list_tokens(harness: NotificationsHarness, user_id: str) -> list[str]:
    return [device.token for device in await harness.list_devices(user_id)]


async def save_contact(harness: NotificationsHarness, user_id: str, version: int, token: str | None) -> None:
    user, at = User(user_id, "a@b.c", None, None, version), START_TIME + timedelta(seconds=version)
    await contacts.upsert_contact(harness.repository, user, token, at)


async def test_concurrent_registrations_leave_the_latest_devices(harness: NotificationsHarness) -> None:
    user, tokens = make_name(), [make_name() for _ in range(MAX_DEVICES + 5)]
    await save_contact(harness, user, 1, None)
    await asyncio.gather(*(register(harness, user, token, number) for number, token in enumerate(tokens)))
    await register(harness, user, tokens[-1], 99)
    latest = [compute_device_id(token) for token in reversed(tokens[-MAX_DEVICES:])]
    assert await list_ids(harness, user) == latest


async def test_push_goes_to_registered_devices_and_device_of_profile(harness: NotificationsHarness) -> None:
    user, phone, tablet, watch = (make_name() for _ in range(4))
    await save_contact(harness, user, 1, phone)
    await register(harness, user, tablet, 2)
    await register(harness, user, watch, 3)
    await register(harness, user, phone, 4)
    assert sorted(await list_tokens(harness, user)) == sorted([phone, tablet, watch])
    await save_contact(harness, user, 5, None)
    assert sorted(await list_tokens(harness, user)) == sorted([phone, tablet, watch])


async def test_device_moves_between_users_also_by_the_profile(harness: NotificationsHarness) -> None:
    ada, bob, phone = make_name(), make_name(), make_name()
    await save_contact(harness, ada, 1, None)
    device = await register(harness, ada, phone, 1)
    await save_contact(harness, bob, 2, phone)
    assert (await list_ids(harness, ada), await list_tokens(harness, ada)) == ([], [])
    assert await list_tokens(harness, bob) == [phone]
    assert await register(harness, ada, phone, 3) == device
    assert (await list_tokens(harness, ada), await list_tokens(harness, bob)) == ([phone], [])


async def test_deleted_user_has_no_devices_and_registers_none(harness: NotificationsHarness) -> None:
    user = make_name()
    await register(harness, user, make_name())
    await contacts.delete_contact(harness.repository, harness.history, user, 9)
    assert await list_ids(harness, user) == []
    with raises_reason(Reason.TOKEN_REVOKED):
        await register(harness, user, make_name())


async def test_devices_of_previous_owner_are_removed(harness: NotificationsHarness) -> None:
    user = make_name()
    await register(harness, user, make_name(), 1)
    later = await register(harness, user, make_name(), 3)
    contact, until = User(user, "a@b.c", None, None, 2), START_TIME + timedelta(seconds=2)
    await contacts.upsert_contact(harness.repository, contact, None, None, until)
    assert await list_ids(harness, user) == [later]


async def test_removed_device_of_user_only(harness: NotificationsHarness) -> None:
    ada, bob = make_name(), make_name()
    phone, tablet = await register(harness, ada, make_name(), 1), await register(harness, ada, make_name(), 2)
    async with harness.repository.unit_of_work() as unit:
        assert not await unit.devices.remove(bob, phone)
        assert await unit.devices.remove(ada, phone)
        assert not await unit.devices.remove(ada, phone)
    assert await list_ids(harness, ada) == [tablet]
