"""The stores of notifications on a real database: claims, devices in any order, keys that cannot be read."""

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
from services.runtime.storage import migrations
from tests.integration.fixtures.notifications import NotificationsHarness, make_name
from tests.integration.fixtures.servers import Servers


@pytest.fixture
async def service(servers: Servers) -> AsyncIterator[NotificationsHarness]:
    migrations.migrate("notifications", servers.settings("notifications")["DATABASE_URL"])
    async with NotificationsHarness(servers) as made:
        yield made


def job(priority: int = 3, mail: Mail | None = None) -> DeliveryJob:
    now = datetime.now(UTC)
    notification = Notification(make_name(), "ada", "orders.paid", None, "orders", "T", "B", Status.QUEUED, now)
    return DeliveryJob(
        notification, priority, now + timedelta(hours=1), mail, trace_context=(("traceparent", "00-1-1-01"),)
    )


async def test_many_workers_claim_each_job_once_the_most_urgent_first(service: NotificationsHarness) -> None:
    jobs = [job(priority) for priority in (1, 9, 5) for _ in range(30)]
    for one in jobs:
        assert await service.queue.add("q", one.id, one)
    assert not await service.queue.add("q", jobs[0].id, jobs[0])
    now = datetime.now(UTC)
    until = now + timedelta(minutes=1)
    claims = await asyncio.gather(*(service.queue.claim(1, 10, now, until) for _ in range(12)))
    claimed = [one.id for claim in claims for one in claim]
    assert sorted(claimed) == sorted(one.id for one in jobs)
    for claim in claims:
        for one in claim:
            assert await service.queue.complete(one, None)


async def test_a_lane_takes_only_what_is_urgent_enough(service: NotificationsHarness) -> None:
    low, high = job(2), job(9)
    for one in (low, high):
        await service.queue.add("q", one.id, one)
    now = datetime.now(UTC)
    assert [one.id for one in await service.queue.claim(8, 10, now, now + timedelta(minutes=1))] == [high.id]
    for one in await service.queue.claim(1, 10, now + timedelta(minutes=2), now + timedelta(minutes=3)):
        await service.queue.complete(one, None)


async def test_a_claim_that_has_run_out_is_another_workers(service: NotificationsHarness) -> None:
    added = job(mail=Mail("m", "a@b.c", "s", "the code is s3cret", "h"))
    await service.queue.add("q", added.id, added)
    now = datetime.now(UTC)
    [slow] = await service.queue.claim(1, 1, now, now + timedelta(seconds=1))
    [quick] = await service.queue.claim(1, 1, now + timedelta(seconds=2), now + timedelta(minutes=1))
    told = NotificationSent(notification_id=added.id, user_id="ada", at=now)
    assert not await service.queue.reschedule(slow, now)
    assert not await service.queue.complete(slow, told)
    moved = replace(
        quick,
        provider=Provider.FCM,
        provider_started_at=now,
        rounds=2,
        final_addresses=("t",),
        is_accepted=True,
        has_unclear_response=True,
    )
    assert await service.queue.reschedule(moved, now)
    async with service.database.connection() as connection:
        cursor = await connection.connection.execute("SELECT mail FROM delivery_jobs WHERE id = %s", (added.id,))
        row = await cursor.fetchone()
    assert row is not None
    assert b"s3cret" not in bytes(row["mail"])
    [back] = await service.queue.claim(1, 1, now + timedelta(minutes=2), now + timedelta(minutes=3))
    assert replace(back, lease_expires_at=None) == replace(moved, lease_expires_at=None)
    assert await service.queue.complete(back, None)


async def test_devices_are_the_same_in_whatever_order_events_come(service: NotificationsHarness) -> None:
    story = [(1, "a"), (2, "b"), (3, None), (4, "c"), (5, "d"), (5, "d")]
    found = set()
    for order in itertools.islice(itertools.permutations(story), 0, 720, 29):
        user = make_name()
        for version, token in order:
            await service.users.upsert_user(User(user, "a@b.c", None, None, version), token)
        found.add(tuple(device.token for device in await service.users.list_devices(user)))
    assert found == {("d", "c")}


async def test_a_forgotten_device_comes_back_only_when_it_is_named_anew(service: NotificationsHarness) -> None:
    user, apple = make_name(), secrets.token_hex(32)
    await service.users.upsert_user(User(user, "a@b.c", None, None, 2), apple)
    assert [device.provider for device in await service.users.list_devices(user)] == [Provider.APNS]
    await service.users.delete_device(user, apple)
    for version, devices in ((1, 0), (2, 0), (3, 1)):
        await service.users.upsert_user(User(user, "a@b.c", None, None, version), apple)
        assert len(await service.users.list_devices(user)) == devices


async def test_keys_are_sealed_and_only_the_next_version_is_saved(service: NotificationsHarness) -> None:
    agent = await service.create_agent(providers=(Provider.FCM,))
    assert await service.agents.save_agent(replace(agent, version=2), {"fcm": "s3cret", "apns": "t0p"})
    assert not await service.agents.save_agent(replace(agent, version=2), {"fcm": "other"})
    assert await service.agents.get_keys(agent.id) == ("s3cret", "t0p")
    async with service.database.connection() as connection:
        cursor = await connection.connection.execute(
            "SELECT ciphertext FROM agent_keys WHERE agent_id = %s", (agent.id,)
        )
        rows = await cursor.fetchall()
    assert len(rows) == 2
    assert not any(b"s3cret" in bytes(row["ciphertext"]) or b"t0p" in bytes(row["ciphertext"]) for row in rows)
    assert await service.agents.save_agent(replace(agent, version=3), {"fcm": None})
    assert await service.agents.get_keys(agent.id) == (None, "t0p")
