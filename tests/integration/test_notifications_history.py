"""The history in a document store: by user, agent, status and time, in pages, and for as long as it is to be kept."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.notifications.app import delete_old_history
from services.notifications.domain.notifications import Attempt, Notification, Provider, Status
from services.notifications.usecases import history
from services.notifications.usecases.ports import HistoryFilter
from services.runtime.storage import migrations
from tests.integration.fixtures.notifications import NotificationsHarness, make_name, wait_until
from tests.integration.fixtures.servers import Servers

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
async def service(servers: Servers) -> AsyncIterator[NotificationsHarness]:
    migrations.migrate("notifications", servers.settings("notifications")["DATABASE_URL"])
    async with NotificationsHarness(servers) as made:
        yield made


def told(user: str, agent: str = "news", status: Status = Status.SENT, age: timedelta = timedelta()) -> Notification:
    tried = (Attempt(Provider.FCM, NOW, "UNAVAILABLE"), Attempt(Provider.FCM, NOW, "accepted"))
    return Notification(make_name(), user, "orders.paid", "o1", agent, "T", "B", status, NOW - age, tried)


async def pages(service: NotificationsHarness, wanted: HistoryFilter, size: int) -> Sequence[Notification]:
    found, token = [], ""
    while True:
        page = await history.list_all(service.history, wanted, size, token)
        found += page.items
        if not page.next_page_token:
            return found
        token = page.next_page_token


async def test_it_is_found_by_user_agent_and_status_newest_first_in_pages(service: NotificationsHarness) -> None:
    user, agent = make_name(), make_name()
    kept = [
        told(user, agent if number % 2 else "news", list(Status)[number % 4], timedelta(seconds=number // 3))
        for number in range(20)
    ]
    for one in kept:
        await service.history.insert_if_absent(one)
    newest = sorted(kept, key=lambda one: (one.created_at, one.id), reverse=True)
    assert await pages(service, HistoryFilter(user_id=user), 3) == newest
    assert await pages(service, HistoryFilter(agent_id=agent), 4) == [one for one in newest if one.agent_id == agent]
    for status in Status:
        wanted = [one for one in newest if one.status is status]
        assert await pages(service, HistoryFilter(user_id=user, status=status), 2) == wanted
    assert await pages(service, HistoryFilter(user_id=user, agent_id=agent, status=Status.QUEUED), 2) == [
        one for one in newest if one.agent_id == agent and one.status is Status.QUEUED
    ]


async def test_each_filter_has_an_index_by_time(service: NotificationsHarness) -> None:
    indexes = await service.history._notifications.index_information()
    keys = [[field for field, _ in index["key"]] for index in indexes.values()]
    for first in ([], ["user_id"], ["agent_id"], ["status"]):
        assert [*first, "created_at", "_id"] in keys


async def test_what_has_ended_is_not_begun_again(service: NotificationsHarness) -> None:
    ended = told(make_name())
    await service.history.upsert(ended)
    await service.history.insert_if_absent(told(ended.user_id))
    await service.history.insert_if_absent(replace(ended, status=Status.QUEUED))
    assert ended in await pages(service, HistoryFilter(user_id=ended.user_id), 10)


async def test_what_is_too_old_goes(service: NotificationsHarness) -> None:
    user = make_name()
    old, young = told(user, age=timedelta(days=8)), told(user, age=timedelta(days=6))
    for one in (old, young):
        await service.history.upsert(one)

    async def gone() -> bool:
        return await pages(service, HistoryFilter(user_id=user), 10) == [young]

    sweeping = asyncio.create_task(delete_old_history(service.history, timedelta(days=7)))
    try:
        await wait_until(gone)
    finally:
        sweeping.cancel()
        await asyncio.gather(sweeping, return_exceptions=True)
