"""Runs of reconciliation: progress past slow stores and failing orders, and orders that only documents name."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from generated.problems import Reason
from services.orders.domain.orders import HistoryEntry, Order, OrderStatus
from services.orders.domain.payments import PaymentOutcome, PaymentRecord
from services.orders.domain.reconciliation import DiscrepancyKind, OrderRecords
from services.orders.usecases.reconciliation_run import MAX_CONSECUTIVE_ERRORS
from services.runtime.core.errors import ApiError
from tests.unit.fake_transactions import NOW, raises_reason
from tests.unit.orders.fakes import FakeHistory, FakeRepository, build_order
from tests.unit.orders.usecases.test_reconciliation import POLICY, Reconciler


class SlowHistory(FakeHistory):
    """History that fails for requests with more than `max_orders` orders, and for some orders."""

    def __init__(self, max_orders: int, failing_ids: Collection[str] = ()) -> None:
        super().__init__()
        self.max_orders = max_orders
        self.failing_ids = failing_ids
        self.requested: list[int] = []

    async def find_by_orders(self, order_ids: Sequence[str]) -> tuple[list[HistoryEntry], list[PaymentRecord]]:
        self.requested.append(len(order_ids))
        if len(order_ids) > self.max_orders or not {*order_ids}.isdisjoint(self.failing_ids):
            raise ApiError(Reason.UPSTREAM_UNAVAILABLE)
        return await super().find_by_orders(order_ids)


class UnreadableRepository(FakeRepository):
    """Repository that lists due orders, but fails to load any rows."""

    def __init__(self, *orders: Order) -> None:
        super().__init__(*orders)
        self.requested: list[int] = []

    async def load_records(self, order_ids: Sequence[str]) -> Mapping[str, OrderRecords]:
        self.requested.append(len(order_ids))
        raise ApiError(Reason.UPSTREAM_UNAVAILABLE)


def build_orders(count: int) -> list[Order]:
    return [build_order(order_id=f"o{number}") for number in range(count)]


async def test_slow_document_store_is_read_in_smaller_batches() -> None:
    reconciler = Reconciler(FakeRepository(*build_orders(250)))
    reconciler.history = history = SlowHistory(max_orders=30)
    assert await reconciler.run() == 250
    assert history.requested[:3] == [100, 25, 50]
    assert len(history.requested) < 30
    assert reconciler.successes == [reconciler.repository.now]


async def test_orders_that_always_fail_do_not_block_others() -> None:
    reconciler = Reconciler(FakeRepository(*build_orders(250)))
    reconciler.history = SlowHistory(250, failing_ids=["o0", "o5", "o249"])
    assert await reconciler.run() == 247
    assert len(reconciler.repository.reconciled_ids) == 247
    assert reconciler.successes == []


@pytest.mark.parametrize("failing_count", [MAX_CONSECUTIVE_ERRORS, 40])
async def test_consecutive_failing_orders_do_not_block_others(failing_count: int) -> None:
    reconciler = Reconciler(FakeRepository(*build_orders(250)))
    reconciler.history = SlowHistory(250, failing_ids=[f"o{number}" for number in range(failing_count)])
    for _ in range(3):
        assert await reconciler.run_again() == 250 - failing_count
        assert len(reconciler.repository.reconciled_ids) == 250 - failing_count
    assert reconciler.successes == []


async def test_consecutive_failing_documents_do_not_block_others() -> None:
    reconciler = Reconciler(FakeRepository(*build_orders(10)))
    reconciler.history = history = SlowHistory(250, failing_ids=["o0", "o1", "o2", "o3"])
    for order in reconciler.repository.orders.values():
        entry = HistoryEntry(order.id, 1, OrderStatus.PENDING, NOW, "test")
        await history.save_history_entry(entry)
    reconciler.repository.now += timedelta(microseconds=1)
    reconciler.repository.transitions.clear()
    await reconciler.run_documents()
    assert {order_id for order_id, _ in reconciler.reported} == {f"o{number}" for number in range(4, 10)}


async def test_database_that_becomes_unavailable_ends_run_after_few_attempts() -> None:
    repository = UnreadableRepository(*build_orders(250))
    reconciler = Reconciler(repository)
    with raises_reason(Reason.UPSTREAM_UNAVAILABLE):
        await reconciler.run()
    assert repository.requested == [100, 25, 6, *([1] * MAX_CONSECUTIVE_ERRORS), 1]


async def test_unavailable_document_store_ends_run_after_few_attempts() -> None:
    reconciler = Reconciler(FakeRepository(*build_orders(250)))
    reconciler.history = history = SlowHistory(0)
    with raises_reason(Reason.UPSTREAM_UNAVAILABLE):
        await reconciler.run()
    assert history.requested == [100, 25, 6, *([1] * MAX_CONSECUTIVE_ERRORS), 1]
    assert (reconciler.repository.reconciled_ids, reconciler.successes) == ([], [])


async def test_run_in_which_every_order_fails_raises() -> None:
    reconciler = Reconciler(FakeRepository(build_order()))
    reconciler.history = SlowHistory(0)
    with raises_reason(Reason.UPSTREAM_UNAVAILABLE):
        await reconciler.run()


async def test_order_that_exists_only_in_documents_is_reported_once() -> None:
    reconciler = Reconciler(FakeRepository(build_order()))
    await reconciler.run()
    lost = PaymentRecord("visa", "p9", "lost", 200, "USD", PaymentOutcome.PAID, 0, NOW)
    await reconciler.history.save_payment(lost)
    await reconciler.history.save_history_entry(HistoryEntry("lost", 1, OrderStatus.PENDING, NOW, "customer:ada"))
    reconciler.repository.now += timedelta(microseconds=1)
    reconciler.repository.events.clear()
    reconciler.reported.clear()
    await reconciler.run_documents()
    assert set(reconciler.reported) == {
        ("lost", DiscrepancyKind.ORDER_MISSING),
        ("lost", DiscrepancyKind.PAYMENT_UNEXPECTED),
    }
    alerts = [(event.subject, event.reason) for event in reconciler.repository.events]
    assert alerts == [("order:lost", "PAYMENT_UNEXPECTED"), ("order:lost", "ORDER_MISSING")]
    reconciler.repository.events.clear()
    await reconciler.run_documents()
    assert reconciler.repository.events == []


async def test_document_of_recently_changed_order_is_not_compared() -> None:
    reconciler = Reconciler(FakeRepository(replace(build_order(), updated_at=NOW + POLICY.quiet_period)))
    await reconciler.history.save_history_entry(HistoryEntry("o1", 1, OrderStatus.PENDING, NOW, "other"))
    reconciler.repository.now += timedelta(microseconds=1)
    await reconciler.run_documents()
    assert reconciler.reported == []
