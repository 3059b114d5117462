"""Ports that several use cases share: repositories, and the unit of work that is composed of them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from generated.events import OrdersEvent
from services.orders.domain.addresses import DelivererPosition
from services.orders.domain.orders import Bank, HistoryEntry, Order, OrderStatus
from services.orders.domain.payments import (
    Payment,
    PaymentFilter,
    PaymentOutcome,
    PaymentRecord,
    ProcessedCallback,
    Refund,
)
from services.orders.domain.refund_actions import RefundAction, RefundFilter
from services.runtime.core.principal import Principal
from services.runtime.core.repository import EntityReader, EntityRepository, TimeKey, TimeSortedEntityReader
from services.runtime.core.unit_of_work import EventUnitOfWork, IdempotentUnitOfWorkFactory, OptimisticUnitOfWork


class BankReader(EntityReader[str, Bank], Protocol):
    """Read access to banks."""

    async def list_after(self, after: str, size: int, *, active: bool | None = None) -> Sequence[Bank]:
        """Return at most `size` banks whose id is above `after`, by id; None for `active` does not restrict."""


class BankRepository(EntityReader[str, Bank], EntityRepository[str, Bank], Protocol):
    """Banks in a unit of work."""

    async def add(self, bank: Bank) -> bool:
        """Insert a bank; return False if its id exists."""


class OrderReader(EntityReader[str, Order], Protocol):
    """Read access to orders."""

    async def list_transitions(self, order_id: str, after: int) -> Sequence[HistoryEntry]:
        """Return all transitions of an order above a version, oldest first."""

    async def list_visible(
        self, principal: Principal, before: TimeKey | None, size: int, status: OrderStatus | None
    ) -> Sequence[Order]:
        """Return orders, newest first: a customer's own, a deliverer's assigned, or all for an admin."""

    async def list_available_deliveries(self, after: TimeKey | None, size: int) -> Sequence[tuple[datetime, Order]]:
        """Return ready orders with the time they became ready, longest ready first."""


class OrderRepository(Protocol):
    """Orders in a unit of work."""

    async def get_for_update(self, order_id: str) -> Order | None:
        """Return the order, locked until the transaction ends unless the unit of work is one without locks."""

    async def find_by_check(self, check_id: str) -> Order | None:
        """Return the order that was created from a check."""

    async def add(self, order: Order, check_id: str, actor: str) -> bool:
        """Insert an order and its first transition; return False if the check already has an order."""

    async def update(self, before: Order, after: Order, actor: str, note: str | None = None) -> None:
        """Compare-and-set on status and version; adds a transition. The unit may raise ORDER_STATE_CONFLICT later."""

    async def list_unpaid_for_update(self, before: datetime, size: int) -> Sequence[Order]:
        """Lock and return pending orders created before that time; orders locked by others are skipped."""

    async def anonymise_customer(self, customer_id: str) -> None:
        """Remove the customer's personal data from final orders; once committed, also from those that become final."""


class PaymentRepository(Protocol):
    """Payments and payment callbacks in a unit of work."""

    async def register_callback(self, payment: Payment, webhook_id: str) -> ProcessedCallback | None:
        """Register a callback and lock its payment; return None for a new webhook id, else the first with that id."""

    async def save_callback_outcome(self, bank_id: str, webhook_id: str, outcome: PaymentOutcome) -> None:
        """Store the outcome of a registered callback."""

    async def get_locked(self, bank_id: str, payment_id: str) -> PaymentRecord | None:
        """Return the payment of a registered callback as recorded, None for a new one."""

    async def save(self, record: PaymentRecord) -> None:
        """Insert a payment, or replace a failed one. The unit may raise UPSTREAM_UNAVAILABLE later for any other."""

    async def add_rejected(self, record: PaymentRecord) -> bool:
        """Insert a report that contradicts the recorded payment; return False if it was recorded before."""


class RefundReader(TimeSortedEntityReader[Refund, RefundFilter], Protocol):
    """Read access to refunds."""

    async def list_actions(self, refund_ids: Sequence[str]) -> Sequence[RefundAction]:
        """Return the actions of admins on some refunds, at most the latest 50 of each, oldest first."""


class RefundRepository(EntityRepository[str, Refund], Protocol):
    """Refunds in a unit of work."""

    async def add(self, refund: Refund) -> None:
        """Insert a requested refund; an existing one is unchanged."""

    async def complete(self, refund: Refund, response: str) -> bool:
        """Store the final status of a refund; return False if it was already final."""

    async def list_by_order(self, order_id: str, bank_id: str) -> Sequence[Refund]:
        """Return all refunds of an order at a bank."""

    async def add_action(self, action: RefundAction) -> None:
        """Record an action of an admin."""


class DelivererPositionRepository(Protocol):
    """Positions of deliverers in a unit of work, at most one for each order."""

    async def save(self, position: DelivererPosition) -> None:
        """Insert or overwrite the position, and notify those who watch the order."""

    async def delete(self, order_id: str) -> None:
        """Delete the position, if there is one."""


class UnitOfWork(EventUnitOfWork[OrdersEvent], OptimisticUnitOfWork, Protocol):
    """One transaction over orders, payments, refunds and banks."""

    orders: OrderRepository
    positions: DelivererPositionRepository
    payments: PaymentRepository
    refunds: RefundRepository
    banks: BankRepository

    async def register_alert(self, subject: str, reason: str, at: datetime) -> bool:
        """Register an alert; return False if it was raised before."""

    async def clear_alert(self, subject: str, reason: str) -> None:
        """Allow an alert to be raised again."""


class Repository(IdempotentUnitOfWorkFactory[UnitOfWork], Protocol):
    """Read access to orders, banks and refunds, and the units of work that change them."""

    orders: OrderReader
    positions: EntityReader[str, DelivererPosition]
    banks: BankReader
    refunds: RefundReader

    async def record_partner_notified(self, order_id: str, partner_id: int, at: datetime) -> None:
        """Store when the order's partner acknowledged it, without a unit of work; the earliest time is retained."""


class HistoryRepository(Protocol):
    """Document store of order history and payments. All writes are idempotent."""

    async def save_history_entry(self, entry: HistoryEntry) -> None:
        """Insert or overwrite an entry, keyed by order and version."""

    async def save_payment(self, record: PaymentRecord) -> None:
        """Insert or overwrite a payment, keyed by bank and payment; a newer document is not overwritten."""

    async def list_payments(
        self, size: int, before: tuple[datetime, str, str] | None, payment_filter: PaymentFilter
    ) -> Sequence[PaymentRecord]:
        """Return payments before a key of time, bank and payment, newest first."""

    async def list_history(self, order_id: str, size: int, after: int) -> Sequence[HistoryEntry]:
        """Return the entries of an order above a version, oldest first."""
