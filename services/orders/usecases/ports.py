"""Ports: interfaces that the use cases need and the adapters implement."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from datetime import datetime
from typing import NamedTuple, Protocol

from generated.events import OrdersEvent
from services.orders.domain.orders import Bank, HistoryEntry, Order, OrderStatus
from services.orders.domain.payments import PaymentOutcome, PaymentRecord, Refund
from services.orders.domain.reconciliation import OrderRecords
from services.runtime.core.principal import Principal
from services.runtime.storage.idempotency import IdempotencyKey, IdempotentResponse

type RefundTracer = Callable[[Refund], AbstractContextManager[object]]
"""Context manager that traces one attempt at a refund, including the recording of its result."""


class RefundResponse(NamedTuple):
    """Bank's response to a refund request: refunded, finally rejected, or (neither flag set) to be retried."""

    is_refunded: bool
    is_final: bool
    message: str


class ProcessedCallback(NamedTuple):
    """Payment id and outcome of a callback that has already been processed."""

    payment_id: str
    outcome: PaymentOutcome


class UnitOfWork(Protocol):
    """One transaction over orders, payments and banks."""

    async def get_bank(self, bank_id: str) -> Bank | None:
        """Return the bank, active or not."""

    async def get_bank_for_update(self, bank_id: str) -> Bank | None:
        """Return the bank, locked until the transaction ends."""

    async def add_bank(self, bank: Bank) -> bool:
        """Insert a bank; return False if its id exists."""

    async def save_bank(self, bank: Bank) -> None:
        """Insert or overwrite a bank."""

    async def get_order_for_update(self, order_id: str) -> Order | None:
        """Return the order, locked until the transaction ends."""

    async def find_order_by_check(self, check_id: str) -> Order | None:
        """Return the order that was created from a check."""

    async def add_order(self, order: Order, check_id: str, actor: str) -> bool:
        """Insert an order and its first transition; return False if the check already has an order."""

    async def update_order(self, before: Order, after: Order, actor: str, note: str | None = None) -> None:
        """Compare-and-set on status and version; adds a transition.

        Raises ApiError: ORDER_STATE_CONFLICT after a concurrent update.
        """

    async def get_unpaid_orders_for_update(self, before: datetime, size: int) -> list[Order]:
        """Lock and return pending orders created before that time; orders locked by others are skipped."""

    async def register_callback(self, bank_id: str, webhook_id: str, payment_id: str) -> ProcessedCallback | None:
        """Register a callback; return None if it is new, otherwise its first result."""

    async def save_callback_outcome(self, bank_id: str, webhook_id: str, outcome: PaymentOutcome) -> None:
        """Store the outcome of a registered callback."""

    async def get_payment_outcome_for_update(self, bank_id: str, payment_id: str) -> PaymentOutcome | None:
        """Return the outcome of a recorded payment, None for a new one; waits for a concurrent transaction on it."""

    async def save_payment(self, record: PaymentRecord) -> None:
        """Insert or overwrite a payment; a failed payment may succeed later."""

    async def add_refund(self, refund: Refund) -> None:
        """Insert a requested refund; an existing one is unchanged."""

    async def complete_refund(self, refund: Refund, response: str) -> bool:
        """Store the final status of a refund; return False if it was already final."""

    async def list_refunds(self, order_id: str, bank_id: str) -> Sequence[Refund]:
        """Return all refunds of an order at a bank."""

    async def register_alert(self, subject: str, reason: str, at: datetime) -> bool:
        """Register an alert; return False if it was raised before."""

    async def mark_event_processed(self, queue: str, event_id: str) -> bool:
        """Mark an event as processed; return False if it already was."""

    async def publish(self, event: OrdersEvent) -> None:
        """Add an event to the outbox; it is published after the transaction has committed."""


class Repository(Protocol):
    """Repository of orders, banks and refunds."""

    def unit_of_work(self) -> AbstractAsyncContextManager[UnitOfWork]:
        """Open a transaction that commits at the end of the block and rolls back on an exception."""

    def idempotent_unit_of_work(
        self, key: IdempotencyKey | None
    ) -> AbstractAsyncContextManager[tuple[UnitOfWork, IdempotentResponse]]:
        """Open a transaction with the response of an earlier request with the key, or an empty one, to be set."""

    async def get_order(self, order_id: str) -> Order | None:
        """Return the order."""

    async def record_partner_notified(self, order_id: str, partner_id: int, at: datetime) -> None:
        """Store when the order's partner acknowledged it; the earliest time is retained."""

    async def list_transitions(self, order_id: str, after: int) -> list[HistoryEntry]:
        """Return all transitions of an order above a version, oldest first."""

    async def list_orders(
        self, size: int, before: tuple[datetime, str] | None, principal: Principal, status: OrderStatus | None
    ) -> list[Order]:
        """Return orders, newest first: a customer's own, a deliverer's assigned, or all for an admin."""

    async def list_available_deliveries(
        self, size: int, after: tuple[datetime, str] | None
    ) -> list[tuple[datetime, Order]]:
        """Return ready orders with the time they became ready, longest ready first."""

    async def claim_due_refunds(self, now: datetime, lease_until: datetime, size: int) -> Sequence[Refund]:
        """Lease due refunds exclusively until `lease_until` and count one more attempt for each."""

    async def reschedule_refund(self, refund: Refund, not_before: datetime, response: str) -> None:
        """Schedule the next attempt at a refund."""

    async def get_bank(self, bank_id: str) -> Bank | None:
        """Return the bank, active or not."""

    async def list_banks(self, size: int, after: str) -> list[Bank]:
        """Return active banks above an id, ordered by id."""

    async def anonymise_customer(self, customer_id: str) -> None:
        """Remove the customer's personal data from final orders now, and from other orders once they become final."""


class ReconciliationUnitOfWork(UnitOfWork, Protocol):
    """One transaction of reconciliation."""

    async def load_records(self, order_id: str) -> OrderRecords:
        """Lock an order and return all its rows."""

    async def list_pending_event_ids(self, order_id: str) -> set[str]:
        """Return the ids of the order's events in the outbox."""

    async def get_unnotified_orders_for_update(self, before: datetime, reason: str, size: int) -> Sequence[Order]:
        """Lock and return orders paid before that time, not acknowledged by their partner, without such an alert."""

    async def get_unassigned_orders_for_update(self, before: datetime, reason: str, size: int) -> Sequence[Order]:
        """Lock and return orders ready before that time, without a deliverer and without such an alert."""


class ReconciliationRepository(Protocol):
    """Repository of orders for reconciliation."""

    def unit_of_work(self) -> AbstractAsyncContextManager[ReconciliationUnitOfWork]:
        """Open a transaction that commits at the end of the block and rolls back on an exception."""

    def try_acquire_leadership(self) -> AbstractAsyncContextManager[bool]:
        """Try to become the only reconciling process until the block ends; yields whether it succeeded."""

    async def list_due_order_ids(
        self, unchanged_since: datetime, reconciled_before: datetime, size: int
    ) -> Sequence[str]:
        """Return orders unchanged since `unchanged_since` and not reconciled since their last change.

        Orders that were last reconciled before `reconciled_before` are due again.
        """

    async def load_records(self, order_ids: Sequence[str]) -> Mapping[str, OrderRecords]:
        """Return all rows of some orders."""

    async def mark_reconciled(self, order_ids: Sequence[str], at: datetime, cutoff: datetime) -> None:
        """Mark the orders unchanged since `at` as reconciled; those unchanged since `cutoff` are never due again."""

    async def count_overdue_events(self, before: datetime) -> int:
        """Count the outbox events that are older than that time."""


class HistoryRepository(Protocol):
    """Document store of order history and payments. All writes are idempotent."""

    async def save_history_entry(self, entry: HistoryEntry) -> None:
        """Insert or overwrite an entry, keyed by order and version."""

    async def save_payment(self, record: PaymentRecord) -> None:
        """Insert or overwrite a payment, keyed by bank and payment; a newer document is not overwritten."""

    async def list_payments(
        self, size: int, before: tuple[datetime, str, str] | None, order_id: str | None, bank_id: str | None
    ) -> list[PaymentRecord]:
        """Return payments before a key of time, bank and payment, newest first; None as a filter matches all."""

    async def list_history(self, order_id: str, size: int, after: int) -> list[HistoryEntry]:
        """Return the entries of an order above a version, oldest first."""

    async def find_by_orders(self, order_ids: Sequence[str]) -> tuple[list[HistoryEntry], list[PaymentRecord]]:
        """Return all entries and payments of some orders; invalid documents are skipped."""


class OrderChangeListener(Protocol):
    """Source of order change notifications."""

    def subscribe(self, order_id: str) -> AbstractContextManager[asyncio.Event]:
        """Subscribe to an order; the event is set when the order may have changed."""


class PaymentSystem(Protocol):
    """Banks' refund API."""

    async def refund(self, bank: Bank, refund: Refund) -> RefundResponse:
        """Send one refund request. Bank and network errors are returned, not raised."""
