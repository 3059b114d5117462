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
    OrderPaid,
    OrderReady,
    OrderReadyReported,
    OrderSnapshot,
    PartnerNotified,
    PartnerUnreachable,
    PaymentRecorded,
    UserDeleted,
)
from services.orders import usecases
from services.orders.domain.orders import HistoryEntry, OrderStatus
from services.orders.domain.payments import PaymentOutcome, PaymentRecord
from services.orders.usecases.ports import HistoryRepository, Repository
from services.runtime.core.clock import Clock
from services.runtime.messaging.events import MalformedEvent, MessageMetadata


class HistoryConsumer(OrdersHistoryConsumer):
    """Writes each step of an order's life, keyed by its version, so that order of arrival and repeats do not matter."""

    def __init__(self, history: HistoryRepository) -> None:
        self._history = history

    async def order_created(self, event: OrderCreated, delivery: MessageMetadata) -> None:
        """Confirmed."""
        await self._record_entry(event.order, OrderStatus.PENDING)

    async def order_paid(self, event: OrderPaid, delivery: MessageMetadata) -> None:
        """Paid."""
        await self._record_entry(event.order, OrderStatus.PAID, f"payment {event.payment_id}")

    async def order_ready(self, event: OrderReady, delivery: MessageMetadata) -> None:
        """Ready."""
        await self._record_entry(event.order, OrderStatus.READY)

    async def order_assigned(self, event: OrderAssigned, delivery: MessageMetadata) -> None:
        """On its way."""
        await self._record_entry(event.order, OrderStatus.DELIVERING)

    async def order_delivered(self, event: OrderDelivered, delivery: MessageMetadata) -> None:
        """At the door."""
        await self._record_entry(event.order, OrderStatus.DELIVERED)

    async def order_cancelled(self, event: OrderCancelled, delivery: MessageMetadata) -> None:
        """Given up."""
        await self._record_entry(event.order, OrderStatus.CANCELLED, event.reason)

    async def order_expired(self, event: OrderExpired, delivery: MessageMetadata) -> None:
        """Not paid in time."""
        await self._record_entry(event.order, OrderStatus.EXPIRED)

    async def _record_entry(self, snapshot: OrderSnapshot | None, status: OrderStatus, note: str | None = None) -> None:
        if snapshot is None or snapshot.at is None:
            raise MalformedEvent("an event of an order without its order")
        entry = HistoryEntry(snapshot.order_id, snapshot.version, status, snapshot.at, snapshot.actor, note)
        await usecases.record_history(self._history, entry)


class PaymentsConsumer(OrdersPaymentsConsumer):
    """Writes the details of each payment."""

    def __init__(self, history: HistoryRepository) -> None:
        self._history = history

    async def payment_recorded(self, event: PaymentRecorded, delivery: MessageMetadata) -> None:
        """Taken, whatever came of it."""
        if event.at is None:
            raise MalformedEvent("payments.recorded without its time")
        record = PaymentRecord(
            bank_id=event.bank_id,
            payment_id=event.payment_id,
            order_id=event.order_id,
            amount=event.amount,
            currency=event.currency,
            outcome=PaymentOutcome[event.outcome.name or ""],
            refund_amount=event.refund_amount,
            at=event.at,
        )
        await usecases.record_payment(self._history, record)


class ReadinessConsumer(OrdersReadinessConsumer):
    """A partner's word becomes the order's state, once."""

    def __init__(self, repository: Repository, clock: Clock) -> None:
        self._repository = repository
        self._clock = clock

    async def order_ready_reported(self, event: OrderReadyReported, delivery: MessageMetadata) -> None:
        """Ready, says the partner."""
        await usecases.mark_order_ready(
            self._repository,
            self._clock,
            self.QUEUE,
            delivery.event_id,
            event.order_id,
            event.partner_id,
            event.pickup_address,
        )


class PartnersConsumer(OrdersPartnersConsumer):
    """What partners were told, and what not."""

    def __init__(self, repository: Repository, clock: Clock) -> None:
        self._repository = repository
        self._clock = clock

    async def partner_notified(self, event: PartnerNotified, delivery: MessageMetadata) -> None:
        """Its system has taken the order."""
        if event.at is None:
            raise MalformedEvent("partners.notified without its time")
        await usecases.record_partner_notified(self._repository, event.order_id, event.partner_id, event.at)

    async def partner_unreachable(self, event: PartnerUnreachable, delivery: MessageMetadata) -> None:
        """Given up."""
        await usecases.cancel_order_for_unreachable_partner(
            self._repository,
            self._clock,
            self.QUEUE,
            delivery.event_id,
            event.order_id,
            event.partner_id,
            event.reason,
        )


class UsersConsumer(OrdersUsersConsumer):
    """Orders are kept without the person."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    async def user_deleted(self, event: UserDeleted, delivery: MessageMetadata) -> None:
        """Gone."""
        await usecases.anonymise_customer(self._repository, event.user_id)
