"""What the use cases of orders need of the world."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from datetime import datetime
from typing import NamedTuple, Protocol

from generated.events import OrdersEvent
from services.orders.domain.orders import Bank, HistoryEntry, Order, OrderStatus
from services.orders.domain.payments import PaymentOutcome, PaymentRecord, Refund
from services.orders.domain.reconciliation import OrderRecords
from services.runtime.core.principal import Principal
from services.runtime.storage.idempotency import IdempotencyKey, StoredResponse


class RefundResponse(NamedTuple):
    """What a bank said to a refund: done, refused for good, or neither, and a few words for those who look."""

    is_refunded: bool
    is_final: bool
    message: str


class ProcessedCallback(NamedTuple):
    """A callback that was taken before: for which payment, and what came of it."""

    payment_id: str
    outcome: PaymentOutcome


class UnitOfWork(Protocol):
    """One transaction over orders and payments."""

    async def get_bank(self, bank_id: str) -> Bank | None:
        """The bank, active or not."""

    async def get_bank_for_update(self, bank_id: str) -> Bank | None:
        """The bank, locked until the transaction ends."""

    async def add_bank(self, bank: Bank) -> bool:
        """Keeps a new bank; False when there is one of this id."""

    async def save_bank(self, bank: Bank) -> None:
        """Keeps what a bank is now."""

    async def get_order_for_update(self, order_id: str) -> Order | None:
        """The order, locked until the transaction ends."""

    async def find_order_by_check(self, check_id: str) -> Order | None:
        """The order that a check became."""

    async def add_order(self, order: Order, check_id: str, actor: str) -> bool:
        """Keeps a new order; False when the check has become one already."""

    async def update_order(self, before: Order, after: Order, actor: str, note: str | None = None) -> None:
        """Compare-and-set on status and version. Refuses ORDER_STATE_CONFLICT when another was faster."""

    async def get_unpaid_orders_for_update(self, before: datetime, size: int) -> list[Order]:
        """Pending orders made before that, locked; those that others have locked are left out."""

    async def register_callback(self, bank_id: str, webhook_id: str, payment_id: str) -> ProcessedCallback | None:
        """What this callback was first taken for; None when it is new, and from now on it is not."""

    async def save_callback_outcome(self, bank_id: str, webhook_id: str, outcome: PaymentOutcome) -> None:
        """Keeps what came of a callback."""

    async def get_payment_outcome_for_update(self, bank_id: str, payment_id: str) -> PaymentOutcome | None:
        """What came of a payment, if it was taken before; waits for one that is being taken."""

    async def save_payment(self, record: PaymentRecord) -> None:
        """Keeps what came of a payment; one that failed may have succeeded since."""

    async def add_refund(self, refund: Refund) -> None:
        """Keeps what the bank is to pay back."""

    async def complete_refund(self, refund: Refund, response: str) -> bool:
        """Keeps how a refund ended; False when it had ended already."""

    async def list_refunds(self, order_id: str, bank_id: str) -> Sequence[Refund]:
        """Every refund of an order at its bank."""

    async def register_alert(self, subject: str, reason: str, at: datetime) -> bool:
        """Whether nobody was alerted to this before; from now on somebody was."""

    async def mark_event_processed(self, queue: str, event_id: str) -> bool:
        """Whether this event was never consumed before; from now on it was."""

    async def publish(self, event: OrdersEvent) -> None:
        """Lets the event leave when the transaction has committed."""


class Repository(Protocol):
    """Where orders are kept."""

    def unit_of_work(self) -> AbstractAsyncContextManager[UnitOfWork]:
        """Commits at the end of the block, rolls back when it raises."""

    async def run_idempotently(
        self, key: IdempotencyKey | None, work: Callable[[UnitOfWork], Awaitable[bytes]]
    ) -> StoredResponse:
        """Does the work in a unit, or gives the first answer to the key again."""

    async def get_order(self, order_id: str) -> Order | None:
        """The order as it stands."""

    async def record_partner_notified(self, order_id: str, partner_id: int, at: datetime) -> None:
        """Keeps since when that partner knows of the order, the earliest time that was ever said."""

    async def list_transitions(self, order_id: str, after: int) -> list[HistoryEntry]:
        """Every change of an order since a version, oldest first."""

    async def list_orders(
        self, size: int, before: tuple[datetime, str] | None, principal: Principal, status: OrderStatus | None
    ) -> list[Order]:
        """Newest first: a customer's own, a deliverer's assigned, all for an admin."""

    async def list_available_deliveries(
        self, size: int, after: tuple[datetime, str] | None
    ) -> list[tuple[datetime, Order]]:
        """Ready orders, longest ready first, each with the time since."""

    async def claim_due_refunds(self, now: datetime, lease_until: datetime, size: int) -> Sequence[Refund]:
        """Refunds to ask for now, which nobody else gets until `until`; each counts as one more attempt."""

    async def reschedule_refund(self, refund: Refund, not_before: datetime, response: str) -> None:
        """Asks for a refund again, but not before that."""

    async def get_bank(self, bank_id: str) -> Bank | None:
        """The bank, active or not."""

    async def list_banks(self, size: int, after: str) -> list[Bank]:
        """Active banks, by id."""

    async def anonymise_customer(self, customer_id: str) -> None:
        """Removes the person from the orders that are over, and from the others once they are."""


class ReconciliationUnitOfWork(UnitOfWork, Protocol):
    """One transaction that mends."""

    async def load_records(self, order_id: str) -> OrderRecords:
        """All that PostgreSQL keeps of an order, which is locked."""

    async def list_pending_event_ids(self, order_id: str) -> set[str]:
        """The ids of an order's events that wait to leave."""

    async def get_unnotified_orders_for_update(self, before: datetime, reason: str, size: int) -> Sequence[Order]:
        """Orders paid before that, locked, whose partner has not taken them, and nobody was alerted."""

    async def get_unassigned_orders_for_update(self, before: datetime, reason: str, size: int) -> Sequence[Order]:
        """Orders ready before that, locked, which no deliverer has taken, and nobody was alerted."""


class ReconciliationRepository(Protocol):
    """Orders, as they are compared."""

    def unit_of_work(self) -> AbstractAsyncContextManager[ReconciliationUnitOfWork]:
        """Commits at the end of the block, rolls back when it raises."""

    def try_acquire_leadership(self) -> AbstractAsyncContextManager[bool]:
        """Whether no other process reconciles; none does before the block ends."""

    async def list_due_order_ids(
        self, unchanged_since: datetime, reconciled_before: datetime, size: int
    ) -> Sequence[str]:
        """Orders that have not changed since `quiet`, and were not compared since they changed, or since `long_ago`."""

    async def load_records(self, order_ids: Sequence[str]) -> Mapping[str, OrderRecords]:
        """All that PostgreSQL keeps of some orders."""

    async def mark_reconciled(self, order_ids: Sequence[str], at: datetime, cutoff: datetime) -> None:
        """Marks orders that have not changed since `at`; those that have not since `horizon` are done with."""

    async def count_overdue_events(self, before: datetime) -> int:
        """How many events have waited to leave since before that."""


class HistoryRepository(Protocol):
    """Where history and payments are kept as documents, each written any number of times to the same effect."""

    async def save_history_entry(self, entry: HistoryEntry) -> None:
        """Keyed by order and version."""

    async def save_payment(self, record: PaymentRecord) -> None:
        """Keyed by bank and payment."""

    async def list_payments(
        self, size: int, before: tuple[datetime, str, str] | None, order_id: str | None, bank_id: str | None
    ) -> list[PaymentRecord]:
        """Newest first, before a time, bank and payment; of an order, of a bank, or all."""

    async def list_history(self, order_id: str, size: int, after: int) -> list[HistoryEntry]:
        """Oldest first, versions above `after`."""

    async def find_by_orders(self, order_ids: Sequence[str]) -> tuple[list[HistoryEntry], list[PaymentRecord]]:
        """Everything that is written of some orders; what cannot be read counts as not there."""


class OrderChangeListener(Protocol):
    """Word of orders that change."""

    def subscribe(self, order_id: str) -> AbstractContextManager[asyncio.Event]:
        """An event that is set when the order may have changed."""


class PaymentSystem(Protocol):
    """The banks, as they are asked to pay back."""

    async def refund(self, bank: Bank, refund: Refund) -> RefundResponse:
        """Asks once. Never raises for what the bank or the network does."""
