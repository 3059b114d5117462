"""Written by `make generate` from api-specs/proto. Do not edit."""

from typing import Any

from generated.proto.delivery.events.v1 import (
    AgentChanged,
    EmailRequested,
    NotificationFailed,
    NotificationRequested,
    NotificationSent,
    OrderAssigned,
    OrderCancelled,
    OrderCreated,
    OrderDelivered,
    OrderExpired,
    OrderPaid,
    OrderReady,
    OrderReadyReported,
    PartnerCatalogChanged,
    PartnerNotified,
    PartnerUnreachable,
    PaymentRecorded,
    Refunded,
    RefundFailed,
    RefundRequested,
    SystemAlert,
    UserDeleted,
    UserRegistered,
    UserUpdated,
)
from services.runtime.messaging.events import EventType

USER_REGISTERED: EventType[UserRegistered] = EventType(
    "users.registered", UserRegistered, "gateway", ("notifications.users",), lambda event: event.user_id
)
"""A user has signed up."""

USER_UPDATED: EventType[UserUpdated] = EventType(
    "users.updated", UserUpdated, "gateway", ("notifications.users",), lambda event: event.user_id
)
"""A user has changed the profile."""

USER_DELETED: EventType[UserDeleted] = EventType(
    "users.deleted", UserDeleted, "gateway", ("notifications.users", "orders.users"), lambda event: event.user_id
)
"""A user is gone; what is personal of the account goes everywhere."""

EMAIL_REQUESTED: EventType[EmailRequested] = EventType(
    "emails.requested", EmailRequested, "gateway", ("notifications.mail",), lambda event: event.user_id
)
"""A mail is to be sent."""

ORDER_CREATED: EventType[OrderCreated] = EventType(
    "orders.created",
    OrderCreated,
    "orders",
    ("orders.history",),
    lambda event: event.order.order_id if event.order else "",
)
"""An order was confirmed and waits for its payment."""

ORDER_PAID: EventType[OrderPaid] = EventType(
    "orders.paid",
    OrderPaid,
    "orders",
    ("orders.history", "partners.calls", "notifications.orders"),
    lambda event: event.order.order_id if event.order else "",
)
"""An order was paid."""

ORDER_READY_REPORTED: EventType[OrderReadyReported] = EventType(
    "orders.ready_reported", OrderReadyReported, "gateway", ("orders.readiness",), lambda event: event.order_id
)
"""A partner has said that an order is ready; whether it may become so is for the order to decide."""

ORDER_READY: EventType[OrderReady] = EventType(
    "orders.ready",
    OrderReady,
    "orders",
    ("orders.history", "notifications.orders"),
    lambda event: event.order.order_id if event.order else "",
)
"""An order waits for a deliverer."""

ORDER_ASSIGNED: EventType[OrderAssigned] = EventType(
    "orders.assigned",
    OrderAssigned,
    "orders",
    ("orders.history", "notifications.orders"),
    lambda event: event.order.order_id if event.order else "",
)
"""A deliverer has taken an order."""

ORDER_DELIVERED: EventType[OrderDelivered] = EventType(
    "orders.delivered",
    OrderDelivered,
    "orders",
    ("orders.history", "notifications.orders"),
    lambda event: event.order.order_id if event.order else "",
)
"""An order is at the customer's door."""

ORDER_CANCELLED: EventType[OrderCancelled] = EventType(
    "orders.cancelled",
    OrderCancelled,
    "orders",
    ("orders.history", "partners.calls", "notifications.orders"),
    lambda event: event.order.order_id if event.order else "",
)
"""An order was given up before it was on its way; what was paid for it goes back."""

ORDER_EXPIRED: EventType[OrderExpired] = EventType(
    "orders.expired",
    OrderExpired,
    "orders",
    ("orders.history", "notifications.orders"),
    lambda event: event.order.order_id if event.order else "",
)
"""An order was not paid in time."""

PAYMENT_RECORDED: EventType[PaymentRecorded] = EventType(
    "payments.recorded", PaymentRecorded, "orders", ("orders.payments",), lambda event: event.payment_id
)
"""A payment callback was taken, whatever came of it."""

REFUND_REQUESTED: EventType[RefundRequested] = EventType(
    "payments.refund_requested", RefundRequested, "orders", (), lambda event: event.refund_id
)
"""Money is to go back."""

REFUNDED: EventType[Refunded] = EventType(
    "payments.refunded", Refunded, "orders", ("notifications.orders",), lambda event: event.refund_id
)
"""A bank has taken a refund; the money is on its way back."""

REFUND_FAILED: EventType[RefundFailed] = EventType(
    "payments.refund_failed", RefundFailed, "orders", (), lambda event: event.refund_id
)
"""A bank has refused a refund, or was asked for the last time; a person is to look at it."""

PARTNER_NOTIFIED: EventType[PartnerNotified] = EventType(
    "partners.notified", PartnerNotified, "partners", ("orders.partners",), lambda event: event.order_id
)
"""A partner's system has taken an order."""

PARTNER_UNREACHABLE: EventType[PartnerUnreachable] = EventType(
    "partners.unreachable", PartnerUnreachable, "partners", ("orders.partners",), lambda event: event.order_id
)
"""A partner's system has not taken an order, and is not asked again: the order cannot be made."""

PARTNER_CATALOG_CHANGED: EventType[PartnerCatalogChanged] = EventType(
    "partners.catalog_changed", PartnerCatalogChanged, "partners", (), lambda event: event.subject
)
"""What customers see of the catalog has changed, so what is kept of it is no longer right."""

NOTIFICATION_REQUESTED: EventType[NotificationRequested] = EventType(
    "notifications.requested",
    NotificationRequested,
    "gateway",
    ("notifications.requested",),
    lambda event: event.agent_id,
    priority_queue="notifications.urgent",
)
"""Somebody is to be told something that no other event says."""

AGENT_CHANGED: EventType[AgentChanged] = EventType(
    "notifications.agent_changed", AgentChanged, "notifications", (), lambda event: event.agent_id
)
"""An agent was made or changed."""

NOTIFICATION_SENT: EventType[NotificationSent] = EventType(
    "notifications.sent", NotificationSent, "notifications", (), lambda event: event.notification_id
)
"""A notification reached its provider."""

NOTIFICATION_FAILED: EventType[NotificationFailed] = EventType(
    "notifications.failed", NotificationFailed, "notifications", (), lambda event: event.notification_id
)
"""A notification reached nobody."""

SYSTEM_ALERT: EventType[SystemAlert] = EventType(
    "system.alert", SystemAlert, "orders", ("notifications.alerts",), lambda event: event.subject
)
"""Something a person should look at."""

EVENTS: dict[type[Any], EventType[Any]] = {
    UserRegistered: USER_REGISTERED,
    UserUpdated: USER_UPDATED,
    UserDeleted: USER_DELETED,
    EmailRequested: EMAIL_REQUESTED,
    OrderCreated: ORDER_CREATED,
    OrderPaid: ORDER_PAID,
    OrderReadyReported: ORDER_READY_REPORTED,
    OrderReady: ORDER_READY,
    OrderAssigned: ORDER_ASSIGNED,
    OrderDelivered: ORDER_DELIVERED,
    OrderCancelled: ORDER_CANCELLED,
    OrderExpired: ORDER_EXPIRED,
    PaymentRecorded: PAYMENT_RECORDED,
    RefundRequested: REFUND_REQUESTED,
    Refunded: REFUNDED,
    RefundFailed: REFUND_FAILED,
    PartnerNotified: PARTNER_NOTIFIED,
    PartnerUnreachable: PARTNER_UNREACHABLE,
    PartnerCatalogChanged: PARTNER_CATALOG_CHANGED,
    NotificationRequested: NOTIFICATION_REQUESTED,
    AgentChanged: AGENT_CHANGED,
    NotificationSent: NOTIFICATION_SENT,
    NotificationFailed: NOTIFICATION_FAILED,
    SystemAlert: SYSTEM_ALERT,
}

type GatewayEvent = (
    UserRegistered | UserUpdated | UserDeleted | EmailRequested | OrderReadyReported | NotificationRequested
)
"""What gateway may publish."""

type NotificationsEvent = AgentChanged | NotificationSent | NotificationFailed
"""What notifications may publish."""

type OrdersEvent = (
    OrderCreated
    | OrderPaid
    | OrderReady
    | OrderAssigned
    | OrderDelivered
    | OrderCancelled
    | OrderExpired
    | PaymentRecorded
    | RefundRequested
    | Refunded
    | RefundFailed
    | SystemAlert
)
"""What orders may publish."""

type PartnersEvent = PartnerNotified | PartnerUnreachable | PartnerCatalogChanged
"""What partners may publish."""
