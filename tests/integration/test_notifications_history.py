"""Notification history in MongoDB: filters, order, pagination, indexes and retention."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.notifications.domain.notifications import Attempt, HistoryFilter, Notification, Provider, Status
from services.notifications.usecases import history
from services.runtime.storage import migrations
from tests.integration.fixtures.notifications import NotificationsHarness, make_name
from tests.integration.fixtures.servers import Servers

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
async def harness(servers: Servers) -> AsyncIterator[NotificationsHarness]:
    migrations.migrate("notifications", servers.settings("notifications")["DATABASE_URL"])
    async with NotificationsHarness(servers) as harness:
        yield harness


def make_notification(
    user: str, agent: str = "news", status: Status = Status.SENT, age: timedelta = timedelta()
) -> Notification:
    attempts = (Attempt(Provider.FCM, NOW, "UNAVAILABLE"), Attempt(Provider.FCM, NOW, "accepted"))
    return Notification(make_name(), user, "orders.paid", "o1", agent, "T", "B", status, NOW - age, attempts)


async def list_all_pages(
    harness: NotificationsHarness, history_filter: HistoryFilter, size: int
) -> Sequence[Notification]:
    notifications, token = [], ""
    while True:
        page = await history.list_all(harness.history, history_filter, size, token)
        notifications += page.items
        if not page.next_page_token:
            return notifications
        token = page.next_page_token


async def test_find_filters_sorts_and_paginates(harness: NotificationsHarness) -> None:
    user, agent = make_name(), make_name()
    stored = [
        make_notification(
            user, agent if number % 2 else "news", list(Status)[number % 4], timedelta(seconds=number // 3)
        )
        for number in range(20)
    ]
    for notification in stored:
        await harness.history.insert_if_absent(notification)
    newest_first = sorted(stored, key=lambda each: (each.created_at, each.id), reverse=True)
    assert await list_all_pages(harness, HistoryFilter(user_id=user), 3) == newest_first
    assert await list_all_pages(harness, HistoryFilter(agent_id=agent), 4) == [
        each for each in newest_first if each.agent_id == agent
    ]
    for status in Status:
        expected = [each for each in newest_first if each.status is status]
        assert await list_all_pages(harness, HistoryFilter(user_id=user, status=status), 2) == expected
    assert await list_all_pages(harness, HistoryFilter(user_id=user, agent_id=agent, status=Status.QUEUED), 2) == [
        each for each in newest_first if each.agent_id == agent and each.status is Status.QUEUED
    ]


async def test_filter_by_order_finds_notifications_of_all_users(harness: NotificationsHarness) -> None:
    order, other = make_name(), make_name()
    stored = [replace(make_notification(make_name()), order_id=each) for each in (order, other, order, None)]
    for notification in stored:
        await harness.history.insert_if_absent(notification)
    expected = sorted((stored[0], stored[2]), key=lambda each: each.id, reverse=True)
    assert await list_all_pages(harness, HistoryFilter(order_id=order), 1) == expected
    assert await list_all_pages(harness, HistoryFilter(order_id=order, agent_id="none"), 1) == []


async def test_each_filter_has_an_index_ordered_by_time(harness: NotificationsHarness) -> None:
    indexes = await harness.history._notifications.index_information()
    keys = [[field for field, _ in index["key"]] for index in indexes.values()]
    for prefix in ([], ["user_id"], ["agent_id"], ["status"], ["order_id"]):
        assert [*prefix, "created_at", "_id"] in keys


async def test_insert_if_absent_does_not_overwrite_finished_entry(harness: NotificationsHarness) -> None:
    finished = make_notification(make_name())
    await harness.history.upsert(finished)
    await harness.history.insert_if_absent(make_notification(finished.user_id))
    await harness.history.insert_if_absent(replace(finished, status=Status.QUEUED))
    assert finished in await list_all_pages(harness, HistoryFilter(user_id=finished.user_id), 10)


async def test_late_write_does_not_replace_final_status(harness: NotificationsHarness) -> None:
    queued = make_notification(make_name(), status=Status.QUEUED)
    sent, failed, expired = (replace(queued, status=each) for each in (Status.SENT, Status.FAILED, Status.EXPIRED))
    history_filter = HistoryFilter(user_id=queued.user_id)
    for written, stored in (
        (queued, queued),
        (failed, failed),
        (queued, failed),
        (expired, expired),
        (sent, sent),
        (failed, sent),
        (queued, sent),
    ):
        await harness.history.upsert(written)
        assert await list_all_pages(harness, history_filter, 10) == [stored]


async def test_history_older_than_retention_is_deleted(harness: NotificationsHarness) -> None:
    user = make_name()
    expired, recent = make_notification(user, age=timedelta(days=8)), make_notification(user, age=timedelta(days=6))
    for notification in (expired, recent):
        await harness.history.upsert(notification)
    assert await harness.history.delete_older_than(NOW - timedelta(days=7)) >= 1
    assert await list_all_pages(harness, HistoryFilter(user_id=user), 10) == [recent]
    assert await harness.history.delete_older_than(NOW - timedelta(days=7)) == 0
