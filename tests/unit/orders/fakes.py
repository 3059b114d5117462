"""In-memory fakes of the repositories and banks of orders."""

import asyncio
from collections import UserDict
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import datetime

from generated.problems import Reason
from services.orders.domain import orders as order_rules
from services.orders.domain.addresses import DelivererPosition
from services.orders.domain.orders import (
    Bank,
    Basket,
    HistoryEntry,
    Item,
    Order,
    OrderStatus,
    Partner,
    RefundStatus,
)
from services.orders.domain.payments import (
    Payment,
    PaymentFilter,
    PaymentOutcome,
    PaymentRecord,
    ProcessedCallback,
    Refund,
    RefundResponse,
)
from services.orders.domain.reconciliation import OrderRecords
from services.orders.domain.refund_actions import RefundAction, RefundFilter
from services.orders.usecases.event_ids import derive_event_id
from services.runtime.core.errors import ApiError
from services.runtime.core.principal import Principal
from services.runtime.core.repository import TimeKey
from tests.unit.fake_transactions import NOW, FakeTransactions, build_principal

BASKET = Basket(
    partner=Partner(1, "Green Bowl", "Bowls"),
    items=(Item(1, "Lemonade", 2, 100),),
    total_amount=200,
    currency="USD",
    bank_id="visa",
    delivery_address="1 Long Street",
    customer_name=None,
    customer_phone=None,
)
BANK = Bank("visa", "Visa", "https://visa.test/pay", "https://visa.test/api", active=True, webhook_secret=b"encrypted")
ADA = build_principal("customer")
BOB = build_principal("deliverer", "bob")
ADMIN = build_principal("admin", "root")


def build_order(status: OrderStatus = OrderStatus.PENDING, order_id: str = "o1") -> Order:
    order = replace(order_rules.create_order(order_id, "ada", BASKET, NOW), status=status)
    if status in (OrderStatus.PENDING, OrderStatus.CANCELLED, OrderStatus.EXPIRED):
        return order
    return replace(order, paid_amount=200, payment_id="p1")


class FakeBanks(UserDict[str, Bank]):
    """Banks by id."""

    async def get(self, key: str) -> Bank | None:
        return self.data.get(key)

    get_for_update = get

    async def add(self, bank: Bank) -> bool:
        return self.data.setdefault(bank.id, bank) is bank

    async def save(self, entity: Bank) -> None:
        self.data[entity.id] = entity

    async def list_after(self, after: str, size: int, *, active: bool | None = None) -> list[Bank]:
        return [
            bank
            for bank_id, bank in sorted(self.data.items())
            if bank_id > after and (active is None or bank.active is active)
        ][:size]


class FakeOrders(UserDict[str, Order]):
    """Orders by id; transitions and checks are stored in the repository."""

    def __init__(self, repository: "FakeRepository", orders: Sequence[Order]) -> None:
        super().__init__()
        self.data.update({order.id: order for order in orders})
        self.repository = repository

    async def get(self, key: str) -> Order | None:
        return self.data.get(key)

    async def get_for_update(self, order_id: str) -> Order | None:
        self.repository.locked_orders.append(order_id)
        return self.data.get(order_id)

    async def find_by_check(self, check_id: str) -> Order | None:
        return self.data.get(self.repository.checks.get(check_id, ""))

    async def add(self, order: Order, check_id: str, actor: str) -> bool:
        if check_id in self.repository.checks:
            return False
        self.repository.checks[check_id] = order.id
        self._store(order, actor, None)
        return True

    async def update(self, before: Order, after: Order, actor: str, note: str | None = None) -> None:
        if self.data[before.id] != before:
            raise ApiError(Reason.ORDER_STATE_CONFLICT)
        self._store(after, actor, note)

    def _store(self, order: Order, actor: str, note: str | None) -> None:
        self.data[order.id] = order
        entry = HistoryEntry(order.id, order.version, order.status, order.updated_at, actor, note)
        self.repository.transitions.append(entry)

    async def list_unpaid_for_update(self, before: datetime, size: int) -> list[Order]:
        pending = [order for order in self.data.values() if order.status is OrderStatus.PENDING]
        return [order for order in pending if order.created_at < before][:size]

    async def list_visible(
        self, principal: Principal, before: TimeKey | None, size: int, status: OrderStatus | None
    ) -> list[Order]:
        rows = sorted(self.data.values(), key=lambda order: (order.created_at, order.id), reverse=True)
        matching = [order for order in rows if status in (None, order.status)]
        return [order for order in matching if before is None or (order.created_at, order.id) < before][:size]

    async def list_available_deliveries(self, after: TimeKey | None, size: int) -> list[tuple[datetime, Order]]:
        ready = [(order.updated_at, order) for order in self.data.values() if order.status is OrderStatus.READY]
        rows = sorted(ready, key=lambda row: (row[0], row[1].id))
        return [(at, order) for at, order in rows if after is None or (at, order.id) > after][:size]

    async def list_transitions(self, order_id: str, after: int) -> list[HistoryEntry]:
        entries = self.repository.transitions
        return [entry for entry in entries if entry.order_id == order_id and entry.version > after]

    async def anonymise_customer(self, customer_id: str) -> None:
        self.repository.anonymised_ids.add(customer_id)


class FakePositions(UserDict[str, DelivererPosition]):
    """Positions of deliverers by order."""

    async def get(self, key: str) -> DelivererPosition | None:
        return self.data.get(key)

    async def save(self, position: DelivererPosition) -> None:
        self.data[position.order_id] = position

    async def delete(self, order_id: str) -> None:
        self.data.pop(order_id, None)


class FakePayments(UserDict[tuple[str, str], PaymentRecord]):
    """Payments by bank and payment id; callbacks are stored in the repository."""

    def __init__(self, repository: "FakeRepository") -> None:
        super().__init__()
        self.repository = repository
        self.registered: dict[tuple[str, str], Payment] = {}

    async def register_callback(self, payment: Payment, webhook_id: str) -> ProcessedCallback | None:
        self.registered.setdefault((payment.bank_id, webhook_id), payment)
        return self.repository.callbacks.get((payment.bank_id, webhook_id))

    async def save_callback_outcome(self, bank_id: str, webhook_id: str, outcome: PaymentOutcome) -> None:
        payment = self.registered[bank_id, webhook_id]
        self.repository.callbacks[bank_id, webhook_id] = ProcessedCallback(
            payment.payment_id, outcome, payment.compute_fingerprint()
        )

    async def get_locked(self, bank_id: str, payment_id: str) -> PaymentRecord | None:
        return self.data.get((bank_id, payment_id))

    async def add_rejected(self, record: PaymentRecord) -> bool:
        return self.repository.rejected.setdefault((record.bank_id, record.key), record) is record

    async def save(self, record: PaymentRecord) -> None:
        self.data[record.bank_id, record.payment_id] = record


class FakeRefunds(UserDict[str, Refund]):
    """Refunds by id, and their queue."""

    def __init__(self, refunds: Mapping[str, Refund] | None = None) -> None:
        super().__init__(refunds)
        self.rescheduled: dict[str, datetime] = {}
        self.actions: list[RefundAction] = []

    async def add(self, refund: Refund) -> None:
        self.data.setdefault(refund.id, refund)

    async def complete(self, refund: Refund, response: str) -> bool:
        if self.data[refund.id].status is not RefundStatus.REQUESTED:
            return False
        self.data[refund.id] = refund
        return True

    async def get(self, key: str) -> Refund | None:
        return self.data.get(key)

    get_for_update = get

    async def save(self, refund: Refund) -> None:
        self.data[refund.id] = refund

    async def add_action(self, action: RefundAction) -> None:
        self.actions.append(action)

    async def list_actions(self, refund_ids: Sequence[str]) -> Sequence[RefundAction]:
        return [action for action in self.actions if action.refund_id in refund_ids]

    async def list_before(self, before: TimeKey | None, size: int, refund_filter: RefundFilter) -> Sequence[Refund]:
        rows = sorted(self.data.values(), key=lambda refund: (refund.created_at, refund.id), reverse=True)
        matching = [row for row in rows if before is None or (row.created_at, row.id) < before]
        expected = [(name, value) for name, value in refund_filter._asdict().items() if value is not None]
        return [row for row in matching if all(getattr(row, name) == value for name, value in expected)][:size]

    async def list_by_order(self, order_id: str, bank_id: str) -> Sequence[Refund]:
        return [refund for refund in self.data.values() if (refund.order_id, refund.bank_id) == (order_id, bank_id)]

    async def claim_due(self, size: int, now: datetime, lease_until: datetime) -> Sequence[Refund]:
        due = [refund for refund in self.data.values() if refund.status is RefundStatus.REQUESTED]
        for refund in due[:size]:
            self.data[refund.id] = replace(refund, attempts=refund.attempts + 1)
        return [self.data[refund.id] for refund in due[:size]]

    async def reschedule(self, refund: Refund, not_before: datetime, response: str) -> None:
        self.rescheduled[refund.id] = not_before


class FakeRecords:
    """Rows of the orders in a repository."""

    def __init__(self, repository: "FakeRepository") -> None:
        self.repository = repository

    async def load_for_update(self, order_id: str) -> OrderRecords:
        return self.collect(order_id)

    def collect(self, order_id: str) -> OrderRecords:
        return OrderRecords(
            self.repository.orders.data.get(order_id),
            [entry for entry in self.repository.transitions if entry.order_id == order_id],
            [
                record
                for record in (*self.repository.payments.values(), *self.repository.rejected.values())
                if record.order_id == order_id
            ],
            [refund for refund in self.repository.refunds.values() if refund.order_id == order_id],
        )

    async def list_pending_event_ids(self, order_id: str) -> set[str]:
        return {event_id for event in self.repository.events if (event_id := derive_event_id(event)) is not None}

    def _find_stuck(self, status: OrderStatus, before: datetime, reason: str, size: int) -> list[Order]:
        orders = [
            each for each in self.repository.orders.values() if each.status is status and each.updated_at < before
        ]
        return [order for order in orders if (f"order:{order.id}", reason) not in self.repository.alerts][:size]

    async def list_unnotified_for_update(self, before: datetime, reason: str, size: int) -> Sequence[Order]:
        orders = self._find_stuck(OrderStatus.PAID, before, reason, size)
        return [order for order in orders if order.id not in self.repository.notified]

    async def list_unassigned_for_update(self, before: datetime, reason: str, size: int) -> Sequence[Order]:
        return self._find_stuck(OrderStatus.READY, before, reason, size)


class FakeRepository(FakeTransactions):
    """Orders, transitions, payments, refunds, banks and the state of reconciliation."""

    def __init__(self, *orders: Order, banks: Sequence[Bank] = (BANK,)) -> None:
        super().__init__()
        self.orders = FakeOrders(self, orders)
        self.positions = FakePositions()
        self.transitions = [
            HistoryEntry(order.id, order.version, order.status, order.updated_at, "test") for order in orders
        ]
        self.banks = FakeBanks({bank.id: bank for bank in banks})
        self.checks: dict[str, str] = {}
        self.payments = FakePayments(self)
        self.callbacks: dict[tuple[str, str], ProcessedCallback] = {}
        self.rejected: dict[tuple[str, str], PaymentRecord] = {}
        self.refunds = FakeRefunds()
        self.records = FakeRecords(self)
        self.alerts: set[tuple[str, str]] = set()
        self.notified: dict[str, datetime] = {}
        self.anonymised_ids: set[str] = set()
        self.is_leader = True
        self.reconciled_ids: list[str] = []
        self.locked_orders: list[str] = []

    async def record_partner_notified(self, order_id: str, partner_id: int, at: datetime) -> None:
        self.notified[order_id] = min(at, self.notified.get(order_id, at))

    async def register_alert(self, subject: str, reason: str, at: datetime) -> bool:
        is_new = (subject, reason) not in self.alerts
        self.alerts.add((subject, reason))
        return is_new

    async def clear_alert(self, subject: str, reason: str) -> None:
        self.alerts.discard((subject, reason))

    @asynccontextmanager
    async def try_acquire_leadership(self) -> AsyncIterator[bool]:
        yield self.is_leader

    async def list_due_order_ids(
        self, unchanged_since: datetime, reconciled_before: datetime, size: int, excluded_ids: Collection[str]
    ) -> Sequence[str]:
        due = [order.id for order in self.orders.values() if order.updated_at <= unchanged_since]
        return [order_id for order_id in due if order_id not in {*self.reconciled_ids, *excluded_ids}][:size]

    async def count_recent_orders(self, changed_since: datetime) -> int:
        return sum(order.updated_at > changed_since for order in self.orders.values())

    async def find_unknown_payments(self, payments: Sequence[Payment]) -> Sequence[Payment]:
        return [payment for payment in payments if (payment.bank_id, payment.payment_id) not in self.payments]

    async def load_records(self, order_ids: Sequence[str]) -> Mapping[str, OrderRecords]:
        return {order_id: self.records.collect(order_id) for order_id in order_ids}

    async def mark_reconciled(self, order_ids: Sequence[str], at: datetime, cutoff: datetime) -> None:
        self.reconciled_ids += order_ids

    async def count_overdue_events(self, before: datetime) -> int:
        return len(self.events)


class FakeHistory:
    """History entries and payment documents."""

    def __init__(self) -> None:
        self.entries: dict[tuple[str, int], HistoryEntry] = {}
        self.payments: dict[tuple[str, str], PaymentRecord] = {}

    async def save_history_entry(self, entry: HistoryEntry) -> None:
        self.entries[entry.order_id, entry.version] = entry

    async def save_payment(self, record: PaymentRecord) -> None:
        self.payments[record.bank_id, record.key] = record

    async def list_payments(
        self, size: int, before: tuple[datetime, str, str] | None, payment_filter: PaymentFilter
    ) -> list[PaymentRecord]:
        order_id, bank_id = payment_filter
        rows = sorted(self.payments.values(), key=_payment_key, reverse=True)
        matching = [row for row in rows if order_id in (None, row.order_id) and bank_id in (None, row.bank_id)]
        return [row for row in matching if before is None or _payment_key(row) < before][:size]

    async def list_history(self, order_id: str, size: int, after: int) -> list[HistoryEntry]:
        return [entry for (key, version), entry in sorted(self.entries.items()) if key == order_id and version > after][
            :size
        ]

    async def iter_order_ids(self, since: datetime, until: datetime, size: int) -> AsyncIterator[list[str]]:
        for records in (self.entries.values(), self.payments.values()):
            yield [record.order_id for record in records if since <= record.at < until]

    async def find_by_orders(self, order_ids: Sequence[str]) -> tuple[list[HistoryEntry], list[PaymentRecord]]:
        return list(self.entries.values()), list(self.payments.values())


def _payment_key(record: PaymentRecord) -> tuple[datetime, str, str]:
    return record.at, record.bank_id, record.key


class FakePaymentSystem:
    """Banks that return the given responses in turn."""

    def __init__(self, *responses: RefundResponse) -> None:
        self.responses = list(responses)
        self.requests: list[Refund] = []

    async def refund(self, bank: Bank, refund: Refund) -> RefundResponse:
        self.requests.append(refund)
        return self.responses.pop(0)


class FakeChangeListener:
    """Change listener whose subscribers are notified by `notify`."""

    def __init__(self) -> None:
        self.subscribers: list[asyncio.Event] = []

    @contextmanager
    def subscribe(self, order_id: str) -> Iterator[asyncio.Event]:
        event = asyncio.Event()
        self.subscribers.append(event)
        try:
            yield event
        finally:
            self.subscribers.remove(event)

    def notify(self) -> None:
        for event in self.subscribers:
            event.set()
