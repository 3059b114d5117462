"""What the use cases of orders need of the world."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from datetime import datetime
from typing import NamedTuple, Protocol

from generated.events import OrdersEvent
from services.orders.domain import Bank, HistoryEntry, Order, OrderStatus
from services.orders.money import Outcome, PaymentRecord, Refund
from services.orders.reconciliation import Books
from services.runtime.idempotency import Kept, Key
from services.runtime.principal import Principal


class Answer(NamedTuple):
    """What a bank said to a refund: done, refused for good, or neither, and a few words for those who look."""

    done: bool
    final: bool
    said: str


class Callback(NamedTuple):
    """A callback that was taken before: for which payment, and what came of it."""

    payment_id: str
    outcome: Outcome


class Unit(Protocol):
    """One transaction over orders and payments."""

    async def bank(self, bank_id: str) -> Bank | None:
        """The bank, active or not."""

    async def locked_bank(self, bank_id: str) -> Bank | None:
        """The bank, locked until the transaction ends."""

    async def add_bank(self, bank: Bank) -> bool:
        """Keeps a new bank; False when there is one of this id."""

    async def put_bank(self, bank: Bank) -> None:
        """Keeps what a bank is now."""

    async def order(self, order_id: str) -> Order | None:
        """The order, locked until the transaction ends."""

    async def order_of_check(self, check_id: str) -> Order | None:
        """The order that a check became."""

    async def add_order(self, order: Order, check_id: str, actor: str) -> bool:
        """Keeps a new order; False when the check has become one already."""

    async def change_order(self, before: Order, after: Order, actor: str, note: str | None = None) -> None:
        """Compare-and-set on status and version. Refuses ORDER_STATE_CONFLICT when another was faster."""

    async def unpaid(self, before: datetime, size: int) -> list[Order]:
        """Pending orders made before that, locked; those that others have locked are left out."""

    async def first_callback(self, bank_id: str, webhook_id: str, payment_id: str) -> Callback | None:
        """What this callback was first taken for; None when it is new, and from now on it is not."""

    async def answered(self, bank_id: str, webhook_id: str, outcome: Outcome) -> None:
        """Keeps what came of a callback."""

    async def payment(self, bank_id: str, payment_id: str) -> Outcome | None:
        """What came of a payment, if it was taken before; waits for one that is being taken."""

    async def put_payment(self, record: PaymentRecord) -> None:
        """Keeps what came of a payment; one that failed may have succeeded since."""

    async def add_refund(self, refund: Refund) -> None:
        """Keeps what the bank is to pay back."""

    async def end_refund(self, refund: Refund, said: str) -> bool:
        """Keeps how a refund ended; False when it had ended already."""

    async def refunds(self, order_id: str, bank_id: str) -> Sequence[Refund]:
        """Every refund of an order at its bank."""

    async def alert_once(self, subject: str, reason: str, at: datetime) -> bool:
        """Whether nobody was alerted to this before; from now on somebody was."""

    async def first_event(self, queue: str, event_id: str) -> bool:
        """Whether this event was never consumed before; from now on it was."""

    async def publish(self, event: OrdersEvent) -> None:
        """Lets the event leave when the transaction has committed."""


class Store(Protocol):
    """Where orders are kept."""

    def unit(self) -> AbstractAsyncContextManager[Unit]:
        """Commits at the end of the block, rolls back when it raises."""

    async def once(self, key: Key | None, work: Callable[[Unit], Awaitable[bytes]]) -> Kept:
        """Does the work in a unit, or gives the first answer to the key again."""

    async def order(self, order_id: str) -> Order | None:
        """The order as it stands."""

    async def partner_told(self, order_id: str, partner_id: int, at: datetime) -> None:
        """Keeps since when that partner knows of the order, the earliest time that was ever said."""

    async def steps(self, order_id: str, after: int) -> list[HistoryEntry]:
        """Every change of an order since a version, oldest first."""

    async def orders(
        self, size: int, before: tuple[datetime, str] | None, who: Principal, status: OrderStatus | None
    ) -> list[Order]:
        """Newest first: a customer's own, a deliverer's assigned, all for an admin."""

    async def deliveries(self, size: int, after: tuple[datetime, str] | None) -> list[tuple[datetime, Order]]:
        """Ready orders, longest ready first, each with the time since."""

    async def due_refunds(self, now: datetime, until: datetime, size: int) -> Sequence[Refund]:
        """Refunds to ask for now, which nobody else gets until `until`; each counts as one more attempt."""

    async def postpone_refund(self, refund: Refund, until: datetime, said: str) -> None:
        """Asks for a refund again, but not before that."""

    async def bank(self, bank_id: str) -> Bank | None:
        """The bank, active or not."""

    async def banks(self, size: int, after: str) -> list[Bank]:
        """Active banks, by id."""

    async def forget(self, customer_id: str) -> None:
        """Removes the person from the orders that are over, and from the others once they are."""


class ReconcileUnit(Unit, Protocol):
    """One transaction that mends."""

    async def kept(self, order_id: str) -> Books:
        """All that PostgreSQL keeps of an order, which is locked."""

    async def leaving(self, order_id: str) -> set[str]:
        """The ids of an order's events that wait to leave."""

    async def untold(self, before: datetime, reason: str, size: int) -> Sequence[Order]:
        """Orders paid before that, locked, whose partner has not taken them, and nobody was alerted."""

    async def unfetched(self, before: datetime, reason: str, size: int) -> Sequence[Order]:
        """Orders ready before that, locked, which no deliverer has taken, and nobody was alerted."""


class ReconcileStore(Protocol):
    """Orders, as they are compared."""

    def unit(self) -> AbstractAsyncContextManager[ReconcileUnit]:
        """Commits at the end of the block, rolls back when it raises."""

    def leading(self) -> AbstractAsyncContextManager[bool]:
        """Whether no other process reconciles; none does before the block ends."""

    async def due(self, quiet: datetime, long_ago: datetime, size: int) -> Sequence[str]:
        """Orders that have not changed since `quiet`, and were not compared since they changed, or since `long_ago`."""

    async def kept(self, order_ids: Sequence[str]) -> Mapping[str, Books]:
        """All that PostgreSQL keeps of some orders."""

    async def reconciled(self, order_ids: Sequence[str], at: datetime, horizon: datetime) -> None:
        """Marks orders that have not changed since `at`; those that have not since `horizon` are done with."""

    async def waiting(self, before: datetime) -> int:
        """How many events have waited to leave since before that."""


class Documents(Protocol):
    """Where history and payments are kept as documents, each written any number of times to the same effect."""

    async def put_history(self, entry: HistoryEntry) -> None:
        """Keyed by order and version."""

    async def put_payment(self, record: PaymentRecord) -> None:
        """Keyed by bank and payment."""

    async def payments(
        self, size: int, before: tuple[datetime, str, str] | None, order_id: str | None, bank_id: str | None
    ) -> list[PaymentRecord]:
        """Newest first, before a time, bank and payment; of an order, of a bank, or all."""

    async def history(self, order_id: str, size: int, after: int) -> list[HistoryEntry]:
        """Oldest first, versions above `after`."""

    async def of_orders(self, order_ids: Sequence[str]) -> tuple[list[HistoryEntry], list[PaymentRecord]]:
        """Everything that is written of some orders; what cannot be read counts as not there."""


class Changes(Protocol):
    """Word of orders that change."""

    def of(self, order_id: str) -> AbstractContextManager[asyncio.Event]:
        """An event that is set when the order may have changed."""


class PaymentSystem(Protocol):
    """The banks, as they are asked to pay back."""

    async def refund(self, bank: Bank, refund: Refund) -> Answer:
        """Asks once. Never raises for what the bank or the network does."""
