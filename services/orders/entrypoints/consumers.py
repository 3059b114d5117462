"""Event consumers of orders."""

import asyncio
from typing import ClassVar

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

MAX_CONCURRENT_CANCELLATIONS = 16
"""Maximum concurrent cancellations of a process. Each has a transaction, and waits for a connection of the pool."""


class HistoryConsumer(OrdersHistoryConsumer):
    """Writes status changes to the order history, keyed by version: idempotent, and independent of delivery order.

    Many messages at a time, since entries are stored in batches.
    """

    PREFETCH: ClassVar[int] = 100

    def __init__(self, history: HistoryRepository) -> None:
        self._history = history

    async def on_order_created(self, event: OrderCreated, delivery: MessageMetadata) -> None:
        """Record status `pending`."""
        await self._record_entry(event.order, OrderStatus.PENDING)

    async def on_order_paid(self, event: OrderPaid, delivery: MessageMetadata) -> None:
        """Record status `paid`."""
        await self._record_entry(event.order, OrderStatus.PAID, f"payment {event.payment_id}")

    async def on_order_ready(self, event: OrderReady, delivery: MessageMetadata) -> None:
        """Record status `ready`."""
        await self._record_entry(event.order, OrderStatus.READY)

    async def on_order_assigned(self, event: OrderAssigned, delivery: MessageMetadata) -> None:
        """Record status `delivering`."""
        await self._record_entry(event.order, OrderStatus.DELIVERING)

    async def on_order_delivered(self, event: OrderDelivered, delivery: MessageMetadata) -> None:
        """Record status `delivered`."""
        await self._record_entry(event.order, OrderStatus.DELIVERED)

    async def on_order_cancelled(self, event: OrderCancelled, delivery: MessageMetadata) -> None:
        """Record status `cancelled`."""
        await self._record_entry(event.order, OrderStatus.CANCELLED, event.reason)

    async def on_order_expired(self, event: OrderExpired, delivery: MessageMetadata) -> None:
        """Record status `expired`."""
        await self._record_entry(event.order, OrderStatus.EXPIRED)

    async def _record_entry(self, snapshot: OrderSnapshot | None, status: OrderStatus, note: str | None = None) -> None:
        if snapshot is None or snapshot.at is None:
            raise MalformedEvent("order event without its order snapshot or time")
        entry = HistoryEntry(snapshot.order_id, snapshot.version, status, snapshot.at, snapshot.actor, note)
        await usecases.record_history(self._history, entry)


class PaymentsConsumer(OrdersPaymentsConsumer):
    """Writes recorded payments to the document store, many at a time, since they are stored in batches."""

    PREFETCH: ClassVar[int] = 100

    def __init__(self, history: HistoryRepository) -> None:
        self._history = history

    async def on_payment_recorded(self, event: PaymentRecorded, delivery: MessageMetadata) -> None:
        """Record a payment of any outcome."""
        if event.at is None:
            raise MalformedEvent("payments.recorded without a time")
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
    """Marks orders as ready when their partner reports it. Idempotent by event id."""

    def __init__(self, repository: Repository, clock: Clock) -> None:
        self._repository = repository
        self._clock = clock

    async def on_order_ready_reported(self, event: OrderReadyReported, delivery: MessageMetadata) -> None:
        """Mark the order as ready."""
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
    """Processes the result of order calls to partners.

    Many messages at a time, since acknowledgements are stored in batches. Cancellations are not, and are limited.
    """

    PREFETCH: ClassVar[int] = 200

    def __init__(self, repository: Repository, clock: Clock) -> None:
        self._repository = repository
        self._clock = clock
        self._cancellations = asyncio.Semaphore(MAX_CONCURRENT_CANCELLATIONS)

    async def on_partner_notified(self, event: PartnerNotified, delivery: MessageMetadata) -> None:
        """Record when the partner's system acknowledged the order."""
        if event.at is None:
            raise MalformedEvent("partners.notified without a time")
        await usecases.record_partner_notified(self._repository, event.order_id, event.partner_id, event.at)

    async def on_partner_unreachable(self, event: PartnerUnreachable, delivery: MessageMetadata) -> None:
        """Cancel and refund the order. Idempotent by event id."""
        async with self._cancellations:
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
    """Removes the personal data of deleted users from orders."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    async def on_user_deleted(self, event: UserDeleted, delivery: MessageMetadata) -> None:
        """Anonymise the user's orders."""
        await usecases.anonymise_customer(self._repository, event.user_id)
