"""Order history and payments in mongomock; tests/integration/test_document_indexes.py runs the queries on MongoDB."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo import ReplaceOne
from pymongo.errors import AutoReconnect, BulkWriteError
from pymongo.results import BulkWriteResult

from generated.problems import Reason
from services.orders.adapters.history_repository import MongoHistoryRepository
from services.orders.domain.orders import HistoryEntry, OrderStatus
from services.orders.domain.payments import PaymentFilter, PaymentOutcome, PaymentRecord
from services.runtime.core.errors import ApiError
from tests.unit.mongomock_database import AsyncCollection, AsyncDatabase, create_database

AT = datetime(2026, 11, 28, 12, tzinfo=UTC)
ENTRY = HistoryEntry("o1", 1, OrderStatus.PENDING, AT, "ada")
PAYMENT = PaymentRecord("visa", "p1", "o1", 200, "USD", PaymentOutcome.PAID, 0, AT)


@pytest.fixture
def database() -> Any:
    return create_database()


@pytest.fixture
def repository(database: Any) -> MongoHistoryRepository:
    return MongoHistoryRepository(AsyncDatabase(database))  # type: ignore[arg-type]


def make_payments() -> list[PaymentRecord]:
    """Return payments of two orders at two banks, the newest first; two have the same time."""
    return [
        replace(
            PAYMENT,
            payment_id=f"p{number}",
            order_id=f"o{number % 2}",
            bank_id=("km", "visa")[number // 2 % 2],
            at=AT + timedelta(seconds=number // 2),
        )
        for number in reversed(range(6))
    ]


async def test_repeated_history_entry_is_stored_once(repository: MongoHistoryRepository, database: Any) -> None:
    await repository.save_history_entry(ENTRY)
    await repository.save_history_entry(replace(ENTRY, actor="bob"))
    assert await repository.list_history("o1", 10, 0) == [replace(ENTRY, actor="bob")]
    assert [document["_id"] for document in database["history"].find()] == ["o1:1"]


async def test_history_is_listed_oldest_first_after_version(repository: MongoHistoryRepository) -> None:
    entries = [replace(ENTRY, version=version) for version in range(1, 6)]
    for entry in (*reversed(entries), replace(ENTRY, order_id="o2", version=3)):
        await repository.save_history_entry(entry)
    assert await repository.list_history("o1", 3, 0) == entries[:3]
    assert await repository.list_history("o1", 3, 3) == entries[3:]


async def list_order_ids(repository: MongoHistoryRepository, until: datetime, size: int) -> list[str]:
    return [order_id async for page in repository.iter_order_ids(AT, until, size) for order_id in page]


@pytest.mark.parametrize("size", [1, 2, 100])
async def test_orders_created_or_paid_in_period_are_found_in_pages(
    repository: MongoHistoryRepository, size: int
) -> None:
    for number, seconds in enumerate((-1, 0, 0, 1, 2, 3)):
        at = AT + timedelta(seconds=seconds)
        await repository.save_history_entry(replace(ENTRY, order_id=f"created{number}", at=at))
        await repository.save_history_entry(replace(ENTRY, order_id="changed", version=number + 2, at=at))
        await repository.save_payment(replace(PAYMENT, order_id=f"paid{number}", payment_id=f"p{number}", at=at))
    expected = [f"{kind}{number}" for kind in ("created", "paid") for number in (1, 2, 3, 4)]
    assert await list_order_ids(repository, AT + timedelta(seconds=3), size) == expected


@pytest.mark.parametrize("rejected", [set(), {"o3"}])
async def test_rejected_document_does_not_affect_its_batch(
    repository: MongoHistoryRepository, database: Any, monkeypatch: pytest.MonkeyPatch, rejected: set[str]
) -> None:
    batches: list[int] = []

    async def bulk_write(
        collection: AsyncCollection, operations: Sequence[ReplaceOne[Any]], *, ordered: bool
    ) -> BulkWriteResult:
        batches.append(len(operations))
        if rejected & {operation._doc["order_id"] for operation in operations}:
            raise BulkWriteError({"writeErrors": [{"code": 121}]})
        return await original_bulk_write(collection, operations, ordered=ordered)

    original_bulk_write = AsyncCollection.bulk_write
    monkeypatch.setattr(AsyncCollection, "bulk_write", bulk_write)
    order_ids = [f"o{number}" for number in range(5)]
    results = await asyncio.gather(
        *(repository.save_history_entry(replace(ENTRY, order_id=order_id)) for order_id in order_ids),
        return_exceptions=True,
    )
    assert batches == ([5, 1, 1, 1, 1, 1] if rejected else [5])
    assert {order_id for order_id, result in zip(order_ids, results, strict=True) if result is not None} == rejected
    assert {document["order_id"] for document in database["history"].find()} == {*order_ids} - rejected


async def test_rejected_reports_of_one_payment_id_are_stored_separately(repository: MongoHistoryRepository) -> None:
    rejected = [
        replace(PAYMENT, outcome=PaymentOutcome.DUPLICATE_ID, **changes) for changes in ({"amount": 9}, {"amount": 7})
    ]
    for record in (PAYMENT, *rejected, *rejected):
        await repository.save_payment(record)
    listed = await repository.list_payments(10, None, PaymentFilter())
    assert sorted(record.amount for record in listed) == [7, 9, 200]


@pytest.mark.parametrize(
    ("age", "is_overwritten"), [(timedelta(seconds=-1), True), (timedelta(), True), (timedelta(seconds=1), False)]
)
async def test_newer_payment_is_not_overwritten(
    repository: MongoHistoryRepository, age: timedelta, is_overwritten: bool
) -> None:
    other = replace(PAYMENT, at=PAYMENT.at - age, outcome=PaymentOutcome.CONFLICT)
    await repository.save_payment(PAYMENT)
    await repository.save_payment(other)
    assert await repository.list_payments(10, None, PaymentFilter()) == [other if is_overwritten else PAYMENT]


async def test_payments_are_listed_newest_first_in_pages(repository: MongoHistoryRepository) -> None:
    payments = make_payments()
    for payment in payments:
        await repository.save_payment(payment)
    listed: list[PaymentRecord] = []
    for _ in range(3):
        before = (listed[-1].at, listed[-1].bank_id, listed[-1].payment_id) if listed else None
        listed += await repository.list_payments(4, before, PaymentFilter())
    assert listed == payments


@pytest.mark.parametrize(("order_id", "bank_id"), [("o1", None), (None, "km"), ("o0", "visa"), ("unknown", None)])
async def test_payments_are_filtered_by_order_and_bank(
    repository: MongoHistoryRepository, order_id: str | None, bank_id: str | None
) -> None:
    payments = make_payments()
    for payment in payments:
        await repository.save_payment(payment)
    assert await repository.list_payments(10, None, PaymentFilter(order_id, bank_id)) == [
        payment for payment in payments if order_id in (None, payment.order_id) and bank_id in (None, payment.bank_id)
    ]


async def test_invalid_documents_of_orders_are_skipped(
    repository: MongoHistoryRepository, database: Any, caplog: pytest.LogCaptureFixture
) -> None:
    await repository.save_history_entry(ENTRY)
    await repository.save_history_entry(replace(ENTRY, order_id="o2"))
    await repository.save_history_entry(replace(ENTRY, order_id="o3"))
    await repository.save_payment(PAYMENT)
    database["history"].update_one({"order_id": "o2"}, {"$set": {"status": "?"}})
    with caplog.at_level(logging.WARNING):
        assert await repository.find_by_orders(["o1", "o2"]) == ([ENTRY], [PAYMENT])
    assert [record.args and record.args[0] for record in caplog.records] == ["o2"]  # type: ignore[index]


@pytest.mark.parametrize(
    "call",
    [
        lambda repository: repository.save_history_entry(ENTRY),
        lambda repository: repository.save_payment(PAYMENT),
        lambda repository: repository.list_payments(10, None, PaymentFilter()),
        lambda repository: repository.list_history("o1", 10, 0),
        lambda repository: repository.find_by_orders(["o1"]),
    ],
)
async def test_error_of_mongodb_is_reported_as_unavailable(
    repository: MongoHistoryRepository,
    monkeypatch: pytest.MonkeyPatch,
    call: Callable[[MongoHistoryRepository], Awaitable[Any]],
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise AutoReconnect("connection closed")

    for name in ("BulkOperationBuilder.execute", "Collection.find"):
        monkeypatch.setattr(f"mongomock.collection.{name}", fail)
    with pytest.raises(ApiError) as raised:
        await call(repository)
    assert raised.value.reason is Reason.UPSTREAM_UNAVAILABLE
