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
"""A user has been deleted; every service deletes the personal data of the account."""

EMAIL_REQUESTED: EventType[EmailRequested] = EventType(
    "emails.requested", EmailRequested, "gateway", ("notifications.mail",), lambda event: event.user_id
)
"""A mail has been requested."""

ORDER_CREATED: EventType[OrderCreated] = EventType(
    "orders.created",
    OrderCreated,
    "orders",
    ("orders.history",),
    lambda event: event.order.order_id if event.order is not None else "",
)
"""An order was confirmed and awaits payment."""

ORDER_PAID: EventType[OrderPaid] = EventType(
    "orders.paid",
    OrderPaid,
    "orders",
    ("orders.history", "partners.calls", "notifications.orders"),
    lambda event: event.order.order_id if event.order is not None else "",
)
"""An order was paid."""

ORDER_READY_REPORTED: EventType[OrderReadyReported] = EventType(
    "orders.ready_reported", OrderReadyReported, "partners", ("orders.readiness",), lambda event: event.order_id
)
"""A partner has reported an order as ready; the order service decides whether it may become ready."""

ORDER_READY: EventType[OrderReady] = EventType(
    "orders.ready",
    OrderReady,
    "orders",
    ("orders.history", "notifications.orders"),
    lambda event: event.order.order_id if event.order is not None else "",
)
"""An order is ready and awaits a deliverer."""

ORDER_ASSIGNED: EventType[OrderAssigned] = EventType(
    "orders.assigned",
    OrderAssigned,
    "orders",
    ("orders.history", "notifications.orders"),
    lambda event: event.order.order_id if event.order is not None else "",
)
"""An order was assigned to a deliverer."""

ORDER_DELIVERED: EventType[OrderDelivered] = EventType(
    "orders.delivered",
    OrderDelivered,
    "orders",
    ("orders.history", "notifications.orders"),
    lambda event: event.order.order_id if event.order is not None else "",
)
"""An order was delivered."""

ORDER_CANCELLED: EventType[OrderCancelled] = EventType(
    "orders.cancelled",
    OrderCancelled,
    "orders",
    ("orders.history", "partners.calls", "notifications.orders"),
    lambda event: event.order.order_id if event.order is not None else "",
)
"""An order was cancelled before its delivery; the paid amount is refunded."""

ORDER_EXPIRED: EventType[OrderExpired] = EventType(
    "orders.expired",
    OrderExpired,
    "orders",
    ("orders.history", "notifications.orders"),
    lambda event: event.order.order_id if event.order is not None else "",
)
"""An order was not paid in time."""

PAYMENT_RECORDED: EventType[PaymentRecorded] = EventType(
    "payments.recorded", PaymentRecorded, "orders", ("orders.payments",), lambda event: event.payment_id
)
"""A payment callback was recorded, with any outcome."""

REFUND_REQUESTED: EventType[RefundRequested] = EventType(
    "payments.refund_requested", RefundRequested, "orders", (), lambda event: event.refund_id
)
"""A refund was requested."""

REFUNDED: EventType[Refunded] = EventType(
    "payments.refunded", Refunded, "orders", ("notifications.orders",), lambda event: event.refund_id
)
"""A bank has accepted a refund."""

REFUND_FAILED: EventType[RefundFailed] = EventType(
    "payments.refund_failed", RefundFailed, "orders", (), lambda event: event.refund_id
)
"""A bank has rejected a refund, or the last attempt has failed; an operator must resolve it."""

PARTNER_NOTIFIED: EventType[PartnerNotified] = EventType(
    "partners.notified", PartnerNotified, "partners", ("orders.partners",), lambda event: event.order_id
)
"""A partner's system has accepted an order."""

PARTNER_UNREACHABLE: EventType[PartnerUnreachable] = EventType(
    "partners.unreachable", PartnerUnreachable, "partners", ("orders.partners",), lambda event: event.order_id
)
"""A partner's system has not accepted an order, and the attempts are exhausted: the order cannot be prepared."""

PARTNER_CATALOG_CHANGED: EventType[PartnerCatalogChanged] = EventType(
    "partners.catalog_changed", PartnerCatalogChanged, "partners", (), lambda event: event.subject
)
"""The catalog that customers see has changed; cached catalog responses are invalid."""

NOTIFICATION_REQUESTED: EventType[NotificationRequested] = EventType(
    "notifications.requested",
    NotificationRequested,
    "gateway",
    ("notifications.requested",),
    lambda event: event.agent_id,
    priority_queue="notifications.urgent",
)
"""A notification that no other event triggers has been requested."""

AGENT_CHANGED: EventType[AgentChanged] = EventType(
    "notifications.agent_changed", AgentChanged, "notifications", (), lambda event: event.agent_id
)
"""A notification agent was created or changed."""

NOTIFICATION_SENT: EventType[NotificationSent] = EventType(
    "notifications.sent", NotificationSent, "notifications", (), lambda event: event.notification_id
)
"""A notification was accepted by its provider."""

NOTIFICATION_FAILED: EventType[NotificationFailed] = EventType(
    "notifications.failed", NotificationFailed, "notifications", (), lambda event: event.notification_id
)
"""A notification could not be delivered."""

SYSTEM_ALERT: EventType[SystemAlert] = EventType(
    "system.alert", SystemAlert, "orders", ("notifications.alerts",), lambda event: event.subject
)
"""A condition that requires an operator."""

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

type GatewayEvent = UserRegistered | UserUpdated | UserDeleted | EmailRequested | NotificationRequested
"""Events that gateway publishes."""

type NotificationsEvent = AgentChanged | NotificationSent | NotificationFailed
"""Events that notifications publishes."""

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
"""Events that orders publishes."""

type PartnersEvent = OrderReadyReported | PartnerNotified | PartnerUnreachable | PartnerCatalogChanged
"""Events that partners publishes."""
