"""Written by `make generate` from api-specs/proto. Do not edit."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from generated.events import (
    EMAIL_REQUESTED,
    NOTIFICATION_REQUESTED,
    ORDER_ASSIGNED,
    ORDER_CANCELLED,
    ORDER_CREATED,
    ORDER_DELIVERED,
    ORDER_EXPIRED,
    ORDER_PAID,
    ORDER_READY,
    ORDER_READY_REPORTED,
    PARTNER_NOTIFIED,
    PARTNER_UNREACHABLE,
    PAYMENT_RECORDED,
    REFUNDED,
    SYSTEM_ALERT,
    USER_DELETED,
    USER_REGISTERED,
    USER_UPDATED,
)
from generated.proto.delivery.events.v1 import (
    EmailRequested,
    NotificationRequested,
    OrderAssigned,
    OrderCancelled,
    OrderCreated,
    OrderDelivered,
    OrderExpired,
    OrderPaid,
    OrderReady,
    OrderReadyReported,
    PartnerNotified,
    PartnerUnreachable,
    PaymentRecorded,
    Refunded,
    SystemAlert,
    UserDeleted,
    UserRegistered,
    UserUpdated,
)
from services.runtime.messaging.consumer import Consumer
from services.runtime.messaging.events import EventType, MessageMetadata


class NotificationsAlertsConsumer(Consumer):
    """Consumer of the queue `notifications.alerts`. Delivery is unordered and at least once."""

    QUEUE: ClassVar[str] = "notifications.alerts"
    EVENTS: ClassVar[Mapping[str, tuple[EventType[Any], str]]] = {"system.alert": (SYSTEM_ALERT, "on_system_alert")}

    @abstractmethod
    async def on_system_alert(self, event: SystemAlert, delivery: MessageMetadata) -> None:
        """A condition that requires an operator."""


class NotificationsMailConsumer(Consumer):
    """Consumer of the queue `notifications.mail`. Delivery is unordered and at least once."""

    QUEUE: ClassVar[str] = "notifications.mail"
    EVENTS: ClassVar[Mapping[str, tuple[EventType[Any], str]]] = {
        "emails.requested": (EMAIL_REQUESTED, "on_email_requested")
    }

    @abstractmethod
    async def on_email_requested(self, event: EmailRequested, delivery: MessageMetadata) -> None:
        """A mail has been requested."""


class NotificationsOrdersConsumer(Consumer):
    """Consumer of the queue `notifications.orders`. Delivery is unordered and at least once."""

    QUEUE: ClassVar[str] = "notifications.orders"
    EVENTS: ClassVar[Mapping[str, tuple[EventType[Any], str]]] = {
        "orders.paid": (ORDER_PAID, "on_order_paid"),
        "orders.ready": (ORDER_READY, "on_order_ready"),
        "orders.assigned": (ORDER_ASSIGNED, "on_order_assigned"),
        "orders.delivered": (ORDER_DELIVERED, "on_order_delivered"),
        "orders.cancelled": (ORDER_CANCELLED, "on_order_cancelled"),
        "orders.expired": (ORDER_EXPIRED, "on_order_expired"),
        "payments.refunded": (REFUNDED, "on_refunded"),
    }

    @abstractmethod
    async def on_order_paid(self, event: OrderPaid, delivery: MessageMetadata) -> None:
        """An order was paid."""

    @abstractmethod
    async def on_order_ready(self, event: OrderReady, delivery: MessageMetadata) -> None:
        """An order is ready and awaits a deliverer."""

    @abstractmethod
    async def on_order_assigned(self, event: OrderAssigned, delivery: MessageMetadata) -> None:
        """An order was assigned to a deliverer."""

    @abstractmethod
    async def on_order_delivered(self, event: OrderDelivered, delivery: MessageMetadata) -> None:
        """An order was delivered."""

    @abstractmethod
    async def on_order_cancelled(self, event: OrderCancelled, delivery: MessageMetadata) -> None:
        """An order was cancelled before its delivery; the paid amount is refunded."""

    @abstractmethod
    async def on_order_expired(self, event: OrderExpired, delivery: MessageMetadata) -> None:
        """An order was not paid in time."""

    @abstractmethod
    async def on_refunded(self, event: Refunded, delivery: MessageMetadata) -> None:
        """A bank has accepted a refund."""


class NotificationsRequestedConsumer(Consumer):
    """Consumer of the queue `notifications.requested`. Delivery is unordered and at least once."""

    QUEUE: ClassVar[str] = "notifications.requested"
    EVENTS: ClassVar[Mapping[str, tuple[EventType[Any], str]]] = {
        "notifications.requested": (NOTIFICATION_REQUESTED, "on_notification_requested")
    }

    @abstractmethod
    async def on_notification_requested(self, event: NotificationRequested, delivery: MessageMetadata) -> None:
        """A notification that no other event triggers has been requested."""


class NotificationsUrgentConsumer(Consumer):
    """Consumer of the queue `notifications.urgent`. Delivery is unordered and at least once."""

    QUEUE: ClassVar[str] = "notifications.urgent"
    EVENTS: ClassVar[Mapping[str, tuple[EventType[Any], str]]] = {
        "notifications.requested": (NOTIFICATION_REQUESTED, "on_notification_requested")
    }

    @abstractmethod
    async def on_notification_requested(self, event: NotificationRequested, delivery: MessageMetadata) -> None:
        """A notification that no other event triggers has been requested."""


class NotificationsUsersConsumer(Consumer):
    """Consumer of the queue `notifications.users`. Delivery is unordered and at least once."""

    QUEUE: ClassVar[str] = "notifications.users"
    EVENTS: ClassVar[Mapping[str, tuple[EventType[Any], str]]] = {
        "users.registered": (USER_REGISTERED, "on_user_registered"),
        "users.updated": (USER_UPDATED, "on_user_updated"),
        "users.deleted": (USER_DELETED, "on_user_deleted"),
    }

    @abstractmethod
    async def on_user_registered(self, event: UserRegistered, delivery: MessageMetadata) -> None:
        """A user has signed up."""

    @abstractmethod
    async def on_user_updated(self, event: UserUpdated, delivery: MessageMetadata) -> None:
        """A user has changed the profile."""

    @abstractmethod
    async def on_user_deleted(self, event: UserDeleted, delivery: MessageMetadata) -> None:
        """A user has been deleted; every service deletes the personal data of the account."""


class OrdersHistoryConsumer(Consumer):
    """Consumer of the queue `orders.history`. Delivery is unordered and at least once."""

    QUEUE: ClassVar[str] = "orders.history"
    EVENTS: ClassVar[Mapping[str, tuple[EventType[Any], str]]] = {
        "orders.created": (ORDER_CREATED, "on_order_created"),
        "orders.paid": (ORDER_PAID, "on_order_paid"),
        "orders.ready": (ORDER_READY, "on_order_ready"),
        "orders.assigned": (ORDER_ASSIGNED, "on_order_assigned"),
        "orders.delivered": (ORDER_DELIVERED, "on_order_delivered"),
        "orders.cancelled": (ORDER_CANCELLED, "on_order_cancelled"),
        "orders.expired": (ORDER_EXPIRED, "on_order_expired"),
    }

    @abstractmethod
    async def on_order_created(self, event: OrderCreated, delivery: MessageMetadata) -> None:
        """An order was confirmed and awaits payment."""

    @abstractmethod
    async def on_order_paid(self, event: OrderPaid, delivery: MessageMetadata) -> None:
        """An order was paid."""

    @abstractmethod
    async def on_order_ready(self, event: OrderReady, delivery: MessageMetadata) -> None:
        """An order is ready and awaits a deliverer."""

    @abstractmethod
    async def on_order_assigned(self, event: OrderAssigned, delivery: MessageMetadata) -> None:
        """An order was assigned to a deliverer."""

    @abstractmethod
    async def on_order_delivered(self, event: OrderDelivered, delivery: MessageMetadata) -> None:
        """An order was delivered."""

    @abstractmethod
    async def on_order_cancelled(self, event: OrderCancelled, delivery: MessageMetadata) -> None:
        """An order was cancelled before its delivery; the paid amount is refunded."""

    @abstractmethod
    async def on_order_expired(self, event: OrderExpired, delivery: MessageMetadata) -> None:
        """An order was not paid in time."""


class OrdersPartnersConsumer(Consumer):
    """Consumer of the queue `orders.partners`. Delivery is unordered and at least once."""

    QUEUE: ClassVar[str] = "orders.partners"
    EVENTS: ClassVar[Mapping[str, tuple[EventType[Any], str]]] = {
        "partners.notified": (PARTNER_NOTIFIED, "on_partner_notified"),
        "partners.unreachable": (PARTNER_UNREACHABLE, "on_partner_unreachable"),
    }

    @abstractmethod
    async def on_partner_notified(self, event: PartnerNotified, delivery: MessageMetadata) -> None:
        """A partner's system has accepted an order."""

    @abstractmethod
    async def on_partner_unreachable(self, event: PartnerUnreachable, delivery: MessageMetadata) -> None:
        """A partner's system has not accepted an order, and the attempts are exhausted: the order cannot be prepared."""


class OrdersPaymentsConsumer(Consumer):
    """Consumer of the queue `orders.payments`. Delivery is unordered and at least once."""

    QUEUE: ClassVar[str] = "orders.payments"
    EVENTS: ClassVar[Mapping[str, tuple[EventType[Any], str]]] = {
        "payments.recorded": (PAYMENT_RECORDED, "on_payment_recorded")
    }

    @abstractmethod
    async def on_payment_recorded(self, event: PaymentRecorded, delivery: MessageMetadata) -> None:
        """A payment callback was recorded, with any outcome."""


class OrdersReadinessConsumer(Consumer):
    """Consumer of the queue `orders.readiness`. Delivery is unordered and at least once."""

    QUEUE: ClassVar[str] = "orders.readiness"
    EVENTS: ClassVar[Mapping[str, tuple[EventType[Any], str]]] = {
        "orders.ready_reported": (ORDER_READY_REPORTED, "on_order_ready_reported")
    }

    @abstractmethod
    async def on_order_ready_reported(self, event: OrderReadyReported, delivery: MessageMetadata) -> None:
        """A partner has reported an order as ready; the order service decides whether it may become ready."""


class OrdersUsersConsumer(Consumer):
    """Consumer of the queue `orders.users`. Delivery is unordered and at least once."""

    QUEUE: ClassVar[str] = "orders.users"
    EVENTS: ClassVar[Mapping[str, tuple[EventType[Any], str]]] = {"users.deleted": (USER_DELETED, "on_user_deleted")}

    @abstractmethod
    async def on_user_deleted(self, event: UserDeleted, delivery: MessageMetadata) -> None:
        """A user has been deleted; every service deletes the personal data of the account."""


class PartnersCallsConsumer(Consumer):
    """Consumer of the queue `partners.calls`. Delivery is unordered and at least once."""

    QUEUE: ClassVar[str] = "partners.calls"
    EVENTS: ClassVar[Mapping[str, tuple[EventType[Any], str]]] = {
        "orders.paid": (ORDER_PAID, "on_order_paid"),
        "orders.cancelled": (ORDER_CANCELLED, "on_order_cancelled"),
    }

    @abstractmethod
    async def on_order_paid(self, event: OrderPaid, delivery: MessageMetadata) -> None:
        """An order was paid."""

    @abstractmethod
    async def on_order_cancelled(self, event: OrderCancelled, delivery: MessageMetadata) -> None:
        """An order was cancelled before its delivery; the paid amount is refunded."""
