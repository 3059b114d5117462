"""The stores of notifications on a real database: claims, devices in any order, keys that cannot be read."""

import asyncio
import itertools
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from generated.proto.delivery.events.v1 import NotificationSent
from services.notifications.domain.notifications import Mail, Notification, Provider, Status, User
from services.notifications.domain.progress import Job
from services.runtime import migrations
from tests.integration.notifications_service import Service, name
from tests.integration.servers import Servers


@pytest.fixture
async def service(servers: Servers) -> AsyncIterator[Service]:
    migrations.migrate("notifications", servers.settings("notifications")["DATABASE_URL"])
    async with Service(servers) as made:
        yield made


def job(priority: int = 3, mail: Mail | None = None) -> Job:
    now = datetime.now(UTC)
    notification = Notification(name(), "ada", "orders.paid", None, "orders", "T", "B", Status.QUEUED, now)
    return Job(notification, priority, now + timedelta(hours=1), mail, trace=(("traceparent", "00-1-1-01"),))


async def test_many_workers_claim_each_job_once_the_most_urgent_first(service: Service) -> None:
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
            assert await service.queue.finish(one, None)


async def test_a_lane_takes_only_what_is_urgent_enough(service: Service) -> None:
    low, high = job(2), job(9)
    for one in (low, high):
        await service.queue.add("q", one.id, one)
    now = datetime.now(UTC)
    assert [one.id for one in await service.queue.claim(8, 10, now, now + timedelta(minutes=1))] == [high.id]
    for one in await service.queue.claim(1, 10, now + timedelta(minutes=2), now + timedelta(minutes=3)):
        await service.queue.finish(one, None)


async def test_a_claim_that_has_run_out_is_another_workers(service: Service) -> None:
    added = job(mail=Mail("m", "a@b.c", "s", "the code is s3cret", "h"))
    await service.queue.add("q", added.id, added)
    now = datetime.now(UTC)
    [slow] = await service.queue.claim(1, 1, now, now + timedelta(seconds=1))
    [quick] = await service.queue.claim(1, 1, now + timedelta(seconds=2), now + timedelta(minutes=1))
    told = NotificationSent(notification_id=added.id, user_id="ada", at=now)
    assert not await service.queue.keep(slow, now)
    assert not await service.queue.finish(slow, told)
    moved = replace(quick, provider=Provider.FCM, since=now, rounds=2, settled=("t",), accepted=True, unclear=True)
    assert await service.queue.keep(moved, now)
    async with service.database.connection() as connection:
        cursor = await connection.connection.execute("SELECT mail FROM outgoing WHERE id = %s", (added.id,))
        row = await cursor.fetchone()
    assert row is not None
    assert b"s3cret" not in bytes(row["mail"])
    [back] = await service.queue.claim(1, 1, now + timedelta(minutes=2), now + timedelta(minutes=3))
    assert replace(back, claim=None) == replace(moved, claim=None)
    assert await service.queue.finish(back, None)


async def test_devices_are_the_same_in_whatever_order_events_come(service: Service) -> None:
    story = [(1, "a"), (2, "b"), (3, None), (4, "c"), (5, "d"), (5, "d")]
    found = set()
    for order in itertools.islice(itertools.permutations(story), 0, 720, 29):
        user = name()
        for version, token in order:
            await service.users.put_user(User(user, "a@b.c", None, None, version), token)
        found.add(tuple(device.token for device in await service.users.devices(user)))
    assert found == {("d", "c")}


async def test_a_forgotten_device_comes_back_only_when_it_is_named_anew(service: Service) -> None:
    user, apple = name(), secrets.token_hex(32)
    await service.users.put_user(User(user, "a@b.c", None, None, 2), apple)
    assert [device.provider for device in await service.users.devices(user)] == [Provider.APNS]
    await service.users.drop_device(user, apple)
    for version, devices in ((1, 0), (2, 0), (3, 1)):
        await service.users.put_user(User(user, "a@b.c", None, None, version), apple)
        assert len(await service.users.devices(user)) == devices


async def test_keys_are_sealed_and_only_the_next_version_is_saved(service: Service) -> None:
    agent = await service.agent(providers=(Provider.FCM,))
    assert await service.agents.save_agent(replace(agent, version=2), {"fcm": "s3cret", "apns": "t0p"})
    assert not await service.agents.save_agent(replace(agent, version=2), {"fcm": "other"})
    assert await service.agents.keys(agent.id) == ("s3cret", "t0p")
    async with service.database.connection() as connection:
        cursor = await connection.connection.execute("SELECT locked FROM agent_keys WHERE agent_id = %s", (agent.id,))
        rows = await cursor.fetchall()
    assert len(rows) == 2
    assert not any(b"s3cret" in bytes(row["locked"]) or b"t0p" in bytes(row["locked"]) for row in rows)
    assert await service.agents.save_agent(replace(agent, version=3), {"fcm": None})
    assert await service.agents.keys(agent.id) == (None, "t0p")
