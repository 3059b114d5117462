"""Notification history in mongomock; tests/integration/test_document_indexes.py runs the queries on MongoDB."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import mongomock
import pytest
from pymongo import ReplaceOne
from pymongo.errors import AutoReconnect, BulkWriteError
from pymongo.results import BulkWriteResult

from generated.problems import Reason
from services.notifications.adapters.history_repository import EMAIL_EVENT_TYPE, MAX_BATCH_SIZE, MongoHistoryRepository
from services.notifications.domain.notifications import Attempt, HistoryFilter, Notification, Provider, Status
from services.runtime.core.errors import ApiError
from tests.unit.mongomock_database import AsyncCollection, AsyncDatabase, create_database

AT = datetime(2026, 11, 28, 12, tzinfo=UTC)
ATTEMPTS = (Attempt(Provider.FCM, AT, "UNAVAILABLE"), Attempt(Provider.EMAIL, AT, "accepted"))
QUEUED = Notification("n1", "ada", "orders.paid", "o1", "orders", "T", "B", Status.QUEUED, AT)
SENT = replace(QUEUED, status=Status.SENT, attempts=ATTEMPTS, sent_at=AT)
ALL = HistoryFilter()


@pytest.fixture
def database() -> Any:
    return create_database()


@pytest.fixture
def repository(database: Any) -> MongoHistoryRepository:
    return MongoHistoryRepository(AsyncDatabase(database))  # type: ignore[arg-type]


def make_notifications(count: int) -> list[Notification]:
    """Return notifications of two users and all statuses, the newest first; each two have the same time."""
    return [
        replace(
            SENT,
            id=f"n{number:03}",
            user_id=("ada", "bob")[number % 2],
            order_id=("o1", None)[number // 5 % 2],
            agent_id=("orders", "news")[number // 3 % 2],
            status=list(Status)[number % 4],
            created_at=AT + timedelta(seconds=number // 2),
        )
        for number in reversed(range(count))
    ]


async def find_all(repository: MongoHistoryRepository) -> list[Notification]:
    return list(await repository.find(ALL, 1000, None, include_mails=True))


async def test_notification_is_inserted_then_replaced(repository: MongoHistoryRepository) -> None:
    await repository.insert_if_absent(QUEUED)
    assert await find_all(repository) == [QUEUED]
    await repository.upsert(SENT)
    assert await find_all(repository) == [SENT]


@pytest.mark.parametrize("stored", Status)
@pytest.mark.parametrize("new", Status)
async def test_late_write_does_not_replace_retained_status(
    repository: MongoHistoryRepository, stored: Status, new: Status
) -> None:
    former, late, other = replace(SENT, status=stored), replace(QUEUED, status=new), replace(SENT, id="n2")
    await repository.upsert(former)
    await asyncio.gather(repository.upsert(late), repository.upsert(other))
    is_retained = (new is Status.QUEUED and stored is not Status.QUEUED) or (
        stored is Status.SENT and new is not Status.SENT
    )
    assert {each.id: each for each in await find_all(repository)} == {
        "n1": former if is_retained else late,
        "n2": other,
    }


async def test_notification_inserted_during_upsert_is_replaced(
    repository: MongoHistoryRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def bulk_write(collection: AsyncCollection, operations: Sequence[Any], *, ordered: bool) -> BulkWriteResult:
        monkeypatch.undo()
        await repository.insert_if_absent(QUEUED)
        raise BulkWriteError({"writeErrors": [{"index": 0, "code": 11000}]})

    failed = replace(QUEUED, status=Status.FAILED)
    monkeypatch.setattr(AsyncCollection, "bulk_write", bulk_write)
    await repository.upsert(failed)
    assert await find_all(repository) == [failed]


async def test_insert_if_absent_does_not_replace_notification(repository: MongoHistoryRepository) -> None:
    other = replace(QUEUED, id="n2", created_at=AT - timedelta(seconds=1))
    await repository.upsert(SENT)
    await asyncio.gather(repository.insert_if_absent(QUEUED), repository.insert_if_absent(other))
    assert await find_all(repository) == [SENT, other]


async def test_concurrent_writes_are_all_stored(repository: MongoHistoryRepository) -> None:
    notifications = make_notifications(2 * MAX_BATCH_SIZE + 1)
    queued = [replace(each, status=Status.QUEUED) for each in notifications]
    await asyncio.gather(*map(repository.insert_if_absent, queued))
    assert await find_all(repository) == queued
    await asyncio.gather(*map(repository.upsert, notifications))
    assert await find_all(repository) == notifications


@pytest.mark.parametrize(
    "history_filter",
    [
        ALL,
        HistoryFilter(user_id="ada"),
        HistoryFilter(agent_id="news"),
        HistoryFilter(status=Status.FAILED),
        HistoryFilter(order_id="o1"),
        HistoryFilter(user_id="bob", agent_id="orders", status=Status.SENT),
        HistoryFilter(user_id="unknown"),
    ],
)
async def test_find_filters_and_paginates(repository: MongoHistoryRepository, history_filter: HistoryFilter) -> None:
    notifications = make_notifications(24)
    await asyncio.gather(*map(repository.upsert, notifications))
    found: list[Notification] = []
    for _ in range(len(notifications)):
        before = (found[-1].created_at, found[-1].id) if found else None
        page = await repository.find(history_filter, 5, before, include_mails=True)
        assert len(page) <= 5
        found += page
    criteria = {name: value for name, value in history_filter._asdict().items() if value is not None}
    assert found == [
        each for each in notifications if all(getattr(each, name) == value for name, value in criteria.items())
    ]


async def test_find_without_mails_excludes_account_mails(repository: MongoHistoryRepository) -> None:
    mail = replace(SENT, id="n2", event=EMAIL_EVENT_TYPE)
    await asyncio.gather(repository.upsert(SENT), repository.upsert(mail))
    assert await repository.find(ALL, 10, None, include_mails=False) == [SENT]
    assert set(await find_all(repository)) == {SENT, mail}


async def test_notifications_of_user_are_deleted(repository: MongoHistoryRepository) -> None:
    notifications = make_notifications(6)
    await asyncio.gather(*map(repository.upsert, notifications))
    await repository.delete_for_user("ada")
    assert await find_all(repository) == [each for each in notifications if each.user_id == "bob"]


async def test_notifications_older_than_time_are_deleted(repository: MongoHistoryRepository) -> None:
    notifications = make_notifications(6)
    await asyncio.gather(*map(repository.upsert, notifications))
    before = AT + timedelta(seconds=1)
    assert await repository.delete_older_than(before) == 2
    assert await find_all(repository) == [each for each in notifications if each.created_at >= before]


@pytest.mark.parametrize(
    "error", [AutoReconnect("connection closed"), BulkWriteError({"writeErrors": [{"code": 50}, {"code": 11000}]})]
)
@pytest.mark.parametrize(
    "call",
    [
        lambda repository: repository.insert_if_absent(QUEUED),
        lambda repository: repository.upsert(SENT),
        lambda repository: repository.delete_for_user("ada"),
        lambda repository: repository.delete_older_than(AT),
        find_all,
    ],
)
async def test_error_of_mongodb_is_reported_as_unavailable(
    repository: MongoHistoryRepository,
    monkeypatch: pytest.MonkeyPatch,
    call: Callable[[MongoHistoryRepository], Awaitable[Any]],
    error: Exception,
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    for name in ("Collection.insert_many", "Collection.delete_many", "Collection.find", "BulkOperationBuilder.execute"):
        monkeypatch.setattr(f"mongomock.collection.{name}", fail)
    with pytest.raises(ApiError) as raised:
        await call(repository)
    assert raised.value.reason is Reason.UPSTREAM_UNAVAILABLE


def test_mongomock_bulk_write_still_needs_adapter() -> None:
    collection = mongomock.MongoClient().get_database("test")["notifications"]
    with pytest.raises(TypeError, match="sort"):
        collection.bulk_write([ReplaceOne({"_id": 1}, {"_id": 1}, upsert=True)])
