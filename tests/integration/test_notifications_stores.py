"""Repositories of notifications on a real database: leases, device registration and encrypted keys.

Users and the devices of their profiles are stored by services.notifications.adapters.postgres.users.
"""

import asyncio
import itertools
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from generated.proto.delivery.events.v1 import NotificationSent
from services.notifications.domain.delivery_state import DeliveryJob
from services.notifications.domain.notifications import Mail, Notification, Provider, Status, User
from services.notifications.usecases import contacts
from services.runtime.storage import migrations
from tests.integration.fixtures.notifications import NotificationsHarness, make_name
from tests.integration.fixtures.servers import Servers

START_TIME = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def harness(servers: Servers) -> AsyncIterator[NotificationsHarness]:
    migrations.migrate("notifications", servers.settings("notifications")["DATABASE_URL"])
    async with NotificationsHarness(servers) as harness:
        yield harness


def make_job(priority: int = 3, mail: Mail | None = None) -> DeliveryJob:
    now = datetime.now(UTC)
    notification = Notification(make_name(), "ada", "orders.paid", None, "orders", "T", "B", Status.QUEUED, now)
    return DeliveryJob(
        notification, priority, now + timedelta(hours=1), mail, trace_context=(("traceparent", "00-1-1-01"),)
    )


def build_sent_event(job: DeliveryJob) -> NotificationSent:
    return NotificationSent(notification_id=job.id, user_id="ada", at=datetime.now(UTC))


async def test_concurrent_claims_are_exclusive(harness: NotificationsHarness) -> None:
    jobs = [make_job(priority) for priority in (1, 9, 5) for _ in range(30)]
    for job in jobs:
        assert await harness.jobs.add("q", job.id, job)
    assert not await harness.jobs.add("q", jobs[0].id, jobs[0])
    now = datetime.now(UTC)
    lease_expires_at = now + timedelta(minutes=1)
    claims = await asyncio.gather(*(harness.queue.claim(1, 10, now, lease_expires_at) for _ in range(12)))
    claimed_ids = [job.id for claim in claims for job in claim]
    assert sorted(claimed_ids) == sorted(job.id for job in jobs)
    for claim in claims:
        for job in claim:
            assert await harness.jobs.complete(job.lease, build_sent_event(job))


async def test_claim_respects_minimum_priority(harness: NotificationsHarness) -> None:
    low, high = make_job(2), make_job(9)
    for job in (low, high):
        await harness.jobs.add("q", job.id, job)
    now = datetime.now(UTC)
    assert [job.id for job in await harness.queue.claim(8, 10, now, now + timedelta(minutes=1))] == [high.id]
    for job in await harness.queue.claim(1, 10, now + timedelta(minutes=2), now + timedelta(minutes=3)):
        await harness.jobs.complete(job.lease, build_sent_event(job))


async def test_expired_lease_is_lost_to_next_claim(harness: NotificationsHarness) -> None:
    added = make_job(mail=Mail("m", "a@b.c", "s", "the code is s3cret", "h"))
    await harness.jobs.add("q", added.id, added)
    now = datetime.now(UTC)
    [expired] = await harness.queue.claim(1, 1, now, now + timedelta(seconds=1))
    [current] = await harness.queue.claim(1, 1, now + timedelta(seconds=2), now + timedelta(minutes=1))
    assert not await harness.jobs.reschedule(expired, now)
    assert not await harness.jobs.complete(expired.lease, build_sent_event(expired))
    updated = replace(
        current,
        provider=Provider.FCM,
        provider_started_at=now,
        rounds=2,
        final_addresses=("t",),
        is_accepted=True,
        has_unclear_response=True,
    )
    assert await harness.jobs.reschedule(updated, now)
    async with harness.database.connection() as connection:
        cursor = await connection.connection.execute("SELECT mail FROM delivery_jobs WHERE id = %s", (added.id,))
        row = await cursor.fetchone()
    assert row is not None
    assert b"s3cret" not in bytes(row["mail"])
    [reclaimed] = await harness.queue.claim(1, 1, now + timedelta(minutes=2), now + timedelta(minutes=3))
    assert replace(reclaimed, lease_expires_at=None) == replace(updated, lease_expires_at=None)
    assert await harness.jobs.complete(reclaimed.lease, build_sent_event(reclaimed))


async def test_devices_do_not_depend_on_order_of_events(harness: NotificationsHarness) -> None:
    registrations = [(1, "a"), (2, "b"), (3, None), (4, "c"), (5, "d"), (5, "d")]
    results = set()
    for order in itertools.islice(itertools.permutations(registrations), 0, 720, 29):
        user = make_name()
        for version, token in order:
            await contacts.upsert_contact(harness.repository, User(user, "a@b.c", None, None, version), token)
        results.add(tuple(device.token for device in await harness.list_devices(user)))
    assert results == {("d", "c")}


async def test_deleted_device_returns_only_with_newer_version(harness: NotificationsHarness) -> None:
    user, apple = make_name(), secrets.token_hex(32)
    await contacts.upsert_contact(harness.repository, User(user, "a@b.c", None, None, 2), apple)
    assert [device.provider for device in await harness.list_devices(user)] == [Provider.APNS]
    async with harness.repository.unit_of_work() as unit:
        await unit.users.delete_device(user, apple)
    for version, devices in ((1, 0), (2, 0), (3, 1)):
        await contacts.upsert_contact(harness.repository, User(user, "a@b.c", None, None, version), apple)
        assert len(await harness.list_devices(user)) == devices


async def test_keys_are_encrypted_and_save_requires_next_version(harness: NotificationsHarness) -> None:
    agent = await harness.create_agent(providers=(Provider.FCM,))
    assert await harness.save_agent(replace(agent, version=2), {"fcm": "s3cret", "apns": "t0p"})
    assert not await harness.save_agent(replace(agent, version=2), {"fcm": "other"})
    assert await harness.agents.get_keys(agent.id) == ("s3cret", "t0p")
    async with harness.database.connection() as connection:
        cursor = await connection.connection.execute(
            "SELECT ciphertext FROM agent_keys WHERE agent_id = %s", (agent.id,)
        )
        rows = await cursor.fetchall()
    assert len(rows) == 2
    assert not any(b"s3cret" in bytes(row["ciphertext"]) or b"t0p" in bytes(row["ciphertext"]) for row in rows)
    assert await harness.save_agent(replace(agent, version=3), {"fcm": None})
    assert await harness.agents.get_keys(agent.id) == (None, "t0p")


async def test_device_belongs_to_user_of_last_registration(harness: NotificationsHarness) -> None:
    registrations = [("ada", 2, 1), ("ada", 3, 1), ("bob", 1, 2), ("ada", 4, 1)]
    for order in itertools.permutations(registrations):
        phone, tablet = make_name(), make_name()
        users = {name: make_name() for name in ("ada", "bob")}
        await contacts.upsert_contact(
            harness.repository, User(users["ada"], "a@b.c", None, None, 1), tablet, START_TIME
        )
        for name, version, seconds in order:
            user = User(users[name], "a@b.c", None, None, version)
            await contacts.upsert_contact(harness.repository, user, phone, START_TIME + timedelta(seconds=seconds))
        assert await list_tokens(harness, users["ada"]) == [tablet]
        assert await list_tokens(harness, users["bob"]) == [phone]


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_unregistered_device_does_not_return_to_earlier_user(
    harness: NotificationsHarness, *, is_deleted: bool
) -> None:
    phone, ada, bob = make_name(), make_name(), make_name()
    await contacts.upsert_contact(harness.repository, User(ada, "a@b.c", None, None, 1), phone, START_TIME)
    await contacts.upsert_contact(
        harness.repository, User(bob, "a@b.c", None, None, 1), phone, START_TIME + timedelta(seconds=1)
    )
    if is_deleted:
        await contacts.delete_contact(harness.repository, harness.history, bob, 2)
    else:
        await contacts.upsert_contact(harness.repository, User(bob, "a@b.c", None, None, 2), None)
    await contacts.upsert_contact(harness.repository, User(ada, "a@b.c", None, None, 2), phone, START_TIME)
    assert await list_tokens(harness, ada) == await list_tokens(harness, bob) == []
    await contacts.upsert_contact(
        harness.repository, User(ada, "a@b.c", None, None, 3), phone, START_TIME + timedelta(seconds=2)
    )
    assert await list_tokens(harness, ada) == [phone]


async def list_tokens(harness: NotificationsHarness, user_id: str) -> list[str]:
    return [device.token for device in await harness.list_devices(user_id)]
