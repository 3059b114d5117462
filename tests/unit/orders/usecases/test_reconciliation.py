"""Reconciliation: repair of derived data, alerts about the rest, and isolation of one order's errors."""

import logging
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from generated.problems import Reason
from generated.proto.delivery.events.v1 import OrderCreated, OrderPaid, RefundRequested, SystemAlert
from services.orders.domain.orders import Order, OrderStatus, RefundStatus
from services.orders.domain.payments import PaymentOutcome, PaymentRecord
from services.orders.domain.reconciliation import Discrepancy, DiscrepancyKind
from services.orders.usecases import reconciliation
from services.orders.usecases.reconciliation import ReconciliationPolicy, alert_stuck_orders, drain
from services.orders.usecases.reconciliation_run import reconcile, reconcile_documents
from services.runtime.core.errors import ApiError
from tests.unit.fake_transactions import NOW
from tests.unit.orders.fakes import FakeHistory, FakeRecords, FakeRepository, build_order

POLICY = ReconciliationPolicy(
    quiet_period=timedelta(minutes=1),
    recheck_interval=timedelta(hours=1),
    window=timedelta(days=7),
    partner_notification_timeout=timedelta(minutes=5),
    pickup_timeout=timedelta(minutes=10),
)


class Reconciler:
    """Repository, history and the reported discrepancies."""

    def __init__(self, repository: FakeRepository) -> None:
        self.repository = repository
        self.repository.now = NOW + POLICY.quiet_period
        self.history = FakeHistory()
        self.reported: list[tuple[str, DiscrepancyKind]] = []
        self.successes: list[datetime] = []

    def report(self, order_id: str, discrepancy: Discrepancy) -> None:
        self.reported.append((order_id, discrepancy.kind))

    async def run(self) -> int:
        return await reconcile(
            self.repository, self.history, self.repository.clock, POLICY, self.report, self.successes.append
        )

    async def run_documents(self) -> None:
        await reconcile_documents(self.repository, self.history, self.repository.clock, POLICY, self.report)

    async def run_again(self) -> int:
        self.repository.reconciled_ids.clear()
        self.repository.events.clear()
        self.reported.clear()
        return await self.run()


async def test_missing_history_is_restored_and_event_republished() -> None:
    reconciler = Reconciler(FakeRepository(build_order()))
    assert await reconciler.run() == 1
    assert reconciler.reported == [("o1", DiscrepancyKind.HISTORY_MISSING)]
    assert list(reconciler.history.entries) == [("o1", 1)]
    assert [type(event) for event in reconciler.repository.events] == [OrderCreated]
    assert await reconciler.run() == 0
    assert await reconciler.run_again() == 1
    assert (reconciler.reported, reconciler.repository.events) == ([], [])


async def test_pending_event_is_not_published_twice() -> None:
    reconciler = Reconciler(FakeRepository(build_order()))
    await reconciler.run()
    reconciler.history.entries.clear()
    reconciler.repository.reconciled_ids.clear()
    await reconciler.run()
    assert len(reconciler.repository.events) == 1


async def test_event_older_than_window_is_not_republished() -> None:
    reconciler = Reconciler(FakeRepository(build_order()))
    reconciler.repository.now = NOW + POLICY.window
    await reconciler.run()
    assert (list(reconciler.history.entries), reconciler.repository.events) == ([("o1", 1)], [])


async def test_recently_changed_order_is_not_due() -> None:
    reconciler = Reconciler(FakeRepository(build_order()))
    reconciler.repository.now -= timedelta(microseconds=1)
    assert await reconciler.run() == 0
    assert reconciler.reported == []


async def test_only_leader_reconciles() -> None:
    reconciler = Reconciler(FakeRepository(build_order()))
    reconciler.repository.is_leader = False
    assert await reconciler.run() == 0
    assert reconciler.reported == []


async def test_missing_refund_is_restored_and_requested() -> None:
    order = replace(build_order(), paid_amount=150, version=2)
    reconciler = Reconciler(FakeRepository(build_order()))
    await reconciler.repository.orders.update(build_order(), order, "bank:visa", "payment p1")
    record = PaymentRecord("visa", "p1", "o1", 150, "USD", PaymentOutcome.INSUFFICIENT, 150, NOW)
    await reconciler.repository.payments.save(record)
    await reconciler.run()
    kinds = {kind for _, kind in reconciler.reported}
    assert {DiscrepancyKind.REFUND_MISSING, DiscrepancyKind.PAYMENT_DOCUMENT_MISSING} <= kinds
    (refund,) = reconciler.repository.refunds.values()
    assert (refund.amount, refund.status) == (150, RefundStatus.REQUESTED)
    assert RefundRequested in [type(event) for event in reconciler.repository.events]
    assert reconciler.repository.orders["o1"].refund_status is RefundStatus.REQUESTED
    assert reconciler.history.payments == {("visa", "p1"): record}
    await reconciler.run_again()
    assert reconciler.reported == []


async def test_contradiction_raises_one_alert() -> None:
    reconciler = Reconciler(FakeRepository(replace(build_order(), paid_amount=7)))
    await reconciler.run()
    assert ("o1", DiscrepancyKind.PAID_AMOUNT_MISMATCH) in reconciler.reported
    alerts = [event for event in reconciler.repository.events if isinstance(event, SystemAlert)]
    assert [(alert.subject, alert.reason) for alert in alerts] == [("order:o1", "PAID_AMOUNT_MISMATCH")]
    await reconciler.run_again()
    assert ("o1", DiscrepancyKind.PAID_AMOUNT_MISMATCH) in reconciler.reported
    assert reconciler.repository.events == []


class FailingRecords(FakeRecords):
    """Records that cannot list the pending events of order o1."""

    error: Exception = LookupError("o1")

    async def list_pending_event_ids(self, order_id: str) -> set[str]:
        if order_id == "o1":
            raise self.error
        return await super().list_pending_event_ids(order_id)


class FailingRepository(FakeRepository):
    """Repository with failing records."""

    def __init__(self, *orders: Order) -> None:
        super().__init__(*orders)
        self.records: FailingRecords = FailingRecords(self)


async def test_error_of_one_order_does_not_block_others(caplog: pytest.LogCaptureFixture) -> None:
    reconciler = Reconciler(FailingRepository(build_order(), build_order(order_id="o2")))
    assert await reconciler.run() == 1
    assert reconciler.reported == [("o2", DiscrepancyKind.HISTORY_MISSING)]
    assert "reconciliation of order o1 failed" in caplog.text
    assert reconciler.repository.reconciled_ids == ["o2"]
    assert reconciler.successes == []


async def test_store_that_is_unavailable_for_one_order_does_not_block_others() -> None:
    repository = FailingRepository(build_order(), build_order(order_id="o2"))
    repository.records.error = ApiError(Reason.UPSTREAM_UNAVAILABLE)
    reconciler = Reconciler(repository)
    assert await reconciler.run() == 1
    assert repository.reconciled_ids == ["o2"]
    assert reconciler.successes == []


async def test_discrepancy_is_logged_with_order(caplog: pytest.LogCaptureFixture) -> None:
    reconciliation.log_discrepancy("o1", Discrepancy(DiscrepancyKind.HISTORY_MISSING, "no entry"))
    assert "order o1: discrepancy HISTORY_MISSING repaired: no entry" in caplog.text


async def test_stuck_orders_raise_one_alert_each() -> None:
    paid, ready = build_order(OrderStatus.PAID), build_order(OrderStatus.READY, "o2")
    repository = FakeRepository(paid, ready, build_order(OrderStatus.PENDING, "o3"))
    repository.now = NOW + POLICY.pickup_timeout
    assert await alert_stuck_orders(repository, repository.clock, POLICY) == 1
    repository.now += timedelta(microseconds=1)
    assert await alert_stuck_orders(repository, repository.clock, POLICY) == 1
    assert await alert_stuck_orders(repository, repository.clock, POLICY) == 0
    alerts = [event for event in repository.events if isinstance(event, SystemAlert)]
    assert [(alert.subject, alert.reason) for alert in alerts] == [
        ("order:o1", reconciliation.PARTNER_NOT_NOTIFIED),
        ("order:o2", reconciliation.ORDER_NOT_PICKED_UP),
    ]
    assert [event.order.order_id for event in repository.events if isinstance(event, OrderPaid)] == ["o1"]


async def test_stuck_order_reported_by_another_process_raises_no_alert() -> None:
    class ConcurrentlyAlerted(FakeRepository):
        async def register_alert(self, subject: str, reason: str, at: datetime) -> bool:
            return False

    repository = ConcurrentlyAlerted(build_order(OrderStatus.PAID), build_order(OrderStatus.READY, "o2"))
    repository.now = NOW + timedelta(days=1)
    assert await alert_stuck_orders(repository, repository.clock, POLICY) == 0
    assert repository.events == []


async def test_acknowledged_order_is_not_stuck() -> None:
    repository = FakeRepository(build_order(OrderStatus.PAID))
    repository.notified["o1"] = NOW
    repository.now = NOW + timedelta(days=1)
    assert await alert_stuck_orders(repository, repository.clock, POLICY) == 0


@pytest.mark.parametrize(("overdue", "logged"), [(0, False), (2, True)])
async def test_outbox_backlog_is_logged(overdue: int, logged: bool, caplog: pytest.LogCaptureFixture) -> None:
    repository = FakeRepository()
    repository.events = [object()] * overdue
    with caplog.at_level(logging.ERROR):
        assert await reconciliation.warn_about_outbox_backlog(repository, repository.clock, POLICY) == 0
    assert ("2 events" in caplog.text) == logged


async def test_drain_sums_batches_until_empty() -> None:
    batches = iter([100, 100, 3, 0, 7])

    async def work() -> int:
        return next(batches)

    assert await drain(work) == 203
    assert next(batches) == 7
