"""The broker's doors of orders: history and payments become documents, a partner's word becomes a state."""

from generated.events.consumers import (
    OrdersHistoryConsumer,
    OrdersPartnersConsumer,
    OrdersPaymentsConsumer,
    OrdersReadinessConsumer,
    OrdersUsersConsumer,
)
from generated.proto.delivery.events.v1 import (
    OrderAssigned,
    OrderCancelled,
    OrderCreated,
    OrderDelivered,
    OrderExpired,
    OrderFacts,
    OrderPaid,
    OrderReady,
    OrderReadyReported,
    PartnerNotified,
    PartnerUnreachable,
    PaymentRecorded,
    UserDeleted,
)
from services.orders import usecases
from services.orders.domain import HistoryEntry, OrderStatus
from services.orders.money import Outcome, PaymentRecord
from services.orders.usecases.ports import Documents, Store
from services.runtime.clock import Clock
from services.runtime.events import Delivery, MalformedEvent


class History(OrdersHistoryConsumer):
    """Writes each step of an order's life, keyed by its version, so that order of arrival and repeats do not matter."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def order_created(self, event: OrderCreated, delivery: Delivery) -> None:
        """Confirmed."""
        await self._write(event.order, OrderStatus.PENDING)

    async def order_paid(self, event: OrderPaid, delivery: Delivery) -> None:
        """Paid."""
        await self._write(event.order, OrderStatus.PAID, f"payment {event.payment_id}")

    async def order_ready(self, event: OrderReady, delivery: Delivery) -> None:
        """Ready."""
        await self._write(event.order, OrderStatus.READY)

    async def order_assigned(self, event: OrderAssigned, delivery: Delivery) -> None:
        """On its way."""
        await self._write(event.order, OrderStatus.DELIVERING)

    async def order_delivered(self, event: OrderDelivered, delivery: Delivery) -> None:
        """At the door."""
        await self._write(event.order, OrderStatus.DELIVERED)

    async def order_cancelled(self, event: OrderCancelled, delivery: Delivery) -> None:
        """Given up."""
        await self._write(event.order, OrderStatus.CANCELLED, event.reason)

    async def order_expired(self, event: OrderExpired, delivery: Delivery) -> None:
        """Not paid in time."""
        await self._write(event.order, OrderStatus.EXPIRED)

    async def _write(self, order: OrderFacts | None, status: OrderStatus, note: str | None = None) -> None:
        if order is None or order.at is None:
            raise MalformedEvent("an event of an order without its order")
        entry = HistoryEntry(order.order_id, order.version, status, order.at, order.actor, note)
        await usecases.record_history(self._documents, entry)


class Payments(OrdersPaymentsConsumer):
    """Writes the details of each payment."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def payment_recorded(self, event: PaymentRecorded, delivery: Delivery) -> None:
        """Taken, whatever came of it."""
        if event.at is None:
            raise MalformedEvent("payments.recorded without its time")
        record = PaymentRecord(
            bank_id=event.bank_id,
            payment_id=event.payment_id,
            order_id=event.order_id,
            amount=event.amount,
            currency=event.currency,
            outcome=Outcome[event.outcome.name or ""],
            refund_amount=event.refund_amount,
            at=event.at,
        )
        await usecases.record_payment(self._documents, record)


class Readiness(OrdersReadinessConsumer):
    """A partner's word becomes the order's state, once."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def order_ready_reported(self, event: OrderReadyReported, delivery: Delivery) -> None:
        """Ready, says the partner."""
        await usecases.report_ready(
            self._store,
            self._clock,
            self.QUEUE,
            delivery.event_id,
            event.order_id,
            event.partner_id,
            event.pickup_address,
        )


class Partners(OrdersPartnersConsumer):
    """What partners were told, and what not."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def partner_notified(self, event: PartnerNotified, delivery: Delivery) -> None:
        """Its system has taken the order."""
        if event.at is None:
            raise MalformedEvent("partners.notified without its time")
        await usecases.partner_told(self._store, event.order_id, event.partner_id, event.at)

    async def partner_unreachable(self, event: PartnerUnreachable, delivery: Delivery) -> None:
        """Given up."""
        await usecases.partner_unreachable(
            self._store,
            self._clock,
            self.QUEUE,
            delivery.event_id,
            event.order_id,
            event.partner_id,
            event.reason,
        )


class Users(OrdersUsersConsumer):
    """Orders are kept without the person."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def user_deleted(self, event: UserDeleted, delivery: Delivery) -> None:
        """Gone."""
        await usecases.forget_customer(self._store, event.user_id)
