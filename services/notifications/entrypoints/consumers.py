"""Event consumers of notifications."""

import logging
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import ClassVar

from generated.events.consumers import (
    NotificationsAlertsConsumer,
    NotificationsMailConsumer,
    NotificationsOrdersConsumer,
    NotificationsRequestedConsumer,
    NotificationsUrgentConsumer,
    NotificationsUsersConsumer,
)
from generated.proto.delivery.events.v1 import (
    EmailRequested,
    NotificationRequested,
    OrderAssigned,
    OrderCancelled,
    OrderDelivered,
    OrderExpired,
    OrderPaid,
    OrderReady,
    Refunded,
    SystemAlert,
    UserDeleted,
    UserRegistered,
    UserUpdated,
)
from services.notifications.domain.notifications import (
    ID_PATTERN,
    MailTemplate,
    NotificationRule,
    NotificationTemplate,
    User,
)
from services.notifications.usecases import contacts, enqueue
from services.notifications.usecases.enqueue import FALLBACK_MAIL_TEMPLATE, NotificationEnqueuer, SourceEvent
from services.notifications.usecases.ports import HistoryRepository, Repository
from services.runtime.messaging.events import MalformedEvent, MessageMetadata
from services.runtime.telemetry import tracing

log = logging.getLogger(__name__)

MAX_UNKNOWN_USER_ATTEMPTS = 3
"""Number of attempts that are retried for an unknown user, whose registration event may still arrive."""

OPERATORS_USER_ID = "operators"
"""Id of the user for the recipient "@operators"."""


class _RuleNotifier:
    """Queues the notification defined by the rule of an event type."""

    def __init__(self, enqueuer: NotificationEnqueuer, rules: Mapping[str, NotificationRule]) -> None:
        self._enqueuer = enqueuer
        self._rules = rules

    async def notify(self, event: object, delivery: MessageMetadata) -> None:
        """Queue the notification. Raises MalformedEvent if the event has no recipient."""
        rule = self._rules[delivery.type]
        user_id = (
            OPERATORS_USER_ID
            if rule.recipient_path == f"@{OPERATORS_USER_ID}"
            else get_value_at_path(event, rule.recipient_path)
        )
        await enqueue.enqueue_notification(
            self._enqueuer,
            build_source_event(delivery),
            rule.templates,
            rule.agent_id,
            user_id,
            get_value_at_path(event, rule.order_id_path) if rule.order_id_path else None,
            collect_template_values(event),
            retry_unknown_user=delivery.attempt <= MAX_UNKNOWN_USER_ATTEMPTS and user_id != OPERATORS_USER_ID,
        )


def get_value_at_path(event: object, path: str) -> str:
    """Return the string at a path such as "order.customer_id". Raises MalformedEvent if the path does not exist."""
    value: object = event
    for name in path.split("."):
        value = getattr(value, name, None)
    if not isinstance(value, str) or not value:
        raise MalformedEvent(f"no value at {path}")
    return value


def collect_template_values(event: object) -> dict[str, object]:
    """Return the fields of an event and those of the messages in it."""
    values: dict[str, object] = {}
    for name, value in vars(event).items():
        if is_dataclass(value):
            values |= {field.name: getattr(value, field.name) for field in fields(value)}
        else:
            values[name] = value
    return values


def build_source_event(delivery: MessageMetadata) -> SourceEvent:
    """Return the event's identity. Raises MalformedEvent if its id is not a valid notification id."""
    if ID_PATTERN.fullmatch(delivery.event_id) is None:
        raise MalformedEvent("the event id is not a valid notification id")
    return SourceEvent(delivery.queue, delivery.event_id, delivery.type, tracing.get_context_headers())


class OrdersConsumer(_RuleNotifier, NotificationsOrdersConsumer):
    """Notifies customers of changes of their orders."""

    async def on_order_paid(self, event: OrderPaid, delivery: MessageMetadata) -> None:
        """Notify the customer of the payment."""
        await self.notify(event, delivery)

    async def on_order_ready(self, event: OrderReady, delivery: MessageMetadata) -> None:
        """Notify the customer that the order is ready."""
        await self.notify(event, delivery)

    async def on_order_assigned(self, event: OrderAssigned, delivery: MessageMetadata) -> None:
        """Notify the customer that the order is on its way."""
        await self.notify(event, delivery)

    async def on_order_delivered(self, event: OrderDelivered, delivery: MessageMetadata) -> None:
        """Notify the customer of the delivery."""
        await self.notify(event, delivery)

    async def on_order_cancelled(self, event: OrderCancelled, delivery: MessageMetadata) -> None:
        """Notify the customer of the cancellation."""
        await self.notify(event, delivery)

    async def on_order_expired(self, event: OrderExpired, delivery: MessageMetadata) -> None:
        """Notify the customer that the order has expired without payment."""
        await self.notify(event, delivery)

    async def on_refunded(self, event: Refunded, delivery: MessageMetadata) -> None:
        """Notify the customer of the refund, unless the payment belongs to no order."""
        if event.customer_id:
            await self.notify(event, delivery)


class AlertsConsumer(_RuleNotifier, NotificationsAlertsConsumer):
    """Logs system alerts and notifies the operators."""

    async def on_system_alert(self, event: SystemAlert, delivery: MessageMetadata) -> None:
        """Log the alert and notify the operators."""
        log.error("system alert %s on %s: %s", event.reason, event.subject, event.detail)
        await self.notify(event, delivery)


class _RequestConsumer:
    """Queues notifications requested by other services."""

    def __init__(
        self, enqueuer: NotificationEnqueuer, templates: Mapping[str, Mapping[str, NotificationTemplate]]
    ) -> None:
        self._enqueuer = enqueuer
        self._templates = templates

    async def on_notification_requested(self, event: NotificationRequested, delivery: MessageMetadata) -> None:
        """Queue the requested notification."""
        await enqueue.enqueue_notification(
            self._enqueuer,
            build_source_event(delivery)._replace(queue=NotificationsRequestedConsumer.QUEUE),
            self._templates.get(event.template),
            event.agent_id,
            get_value_at_path(event, "user_id"),
            event.order_id,
            event.values,
            retry_unknown_user=delivery.attempt <= MAX_UNKNOWN_USER_ATTEMPTS,
        )


class RequestsConsumer(_RequestConsumer, NotificationsRequestedConsumer):
    """Consumer of the notification requests of all agents."""

    PREFETCH: ClassVar[int] = 200
    """Maximum number of messages written in one batch."""


class UrgentRequestsConsumer(_RequestConsumer, NotificationsUrgentConsumer):
    """Consumer of the priority queue, which contains copies of the requests of urgent agents.

    Both queues share one inbox, so that each request is processed once.
    """


class UsersConsumer(NotificationsUsersConsumer):
    """Stores and deletes the contact data of users."""

    def __init__(self, repository: Repository, history: HistoryRepository) -> None:
        self._repository = repository
        self._history = history

    async def on_user_registered(self, event: UserRegistered, delivery: MessageMetadata) -> None:
        """Store the contact data of a new user."""
        await self._upsert_contact(event, None)

    async def on_user_updated(self, event: UserUpdated, delivery: MessageMetadata) -> None:
        """Store changed contact data."""
        await self._upsert_contact(event, event.devices_removed_until)

    async def on_user_deleted(self, event: UserDeleted, delivery: MessageMetadata) -> None:
        """Delete the user's contact data, pending notifications and history."""
        await contacts.delete_contact(self._repository, self._history, event.user_id, event.version)

    async def _upsert_contact(
        self, event: UserRegistered | UserUpdated, devices_removed_until: datetime | None
    ) -> None:
        user = User(event.user_id, event.email, event.locale, event.time_zone, event.version)
        await contacts.upsert_contact(
            self._repository, user, event.notif_token, event.notif_token_at, devices_removed_until
        )


class MailConsumer(NotificationsMailConsumer):
    """Queues account mails."""

    def __init__(self, enqueuer: NotificationEnqueuer, templates: Mapping[str, Mapping[str, MailTemplate]]) -> None:
        self._enqueuer = enqueuer
        self._templates = templates

    async def on_email_requested(self, event: EmailRequested, delivery: MessageMetadata) -> None:
        """Queue the requested mail."""
        templates = None if event.template == FALLBACK_MAIL_TEMPLATE else self._templates.get(event.template)
        await enqueue.enqueue_mail(
            self._enqueuer,
            build_source_event(delivery),
            templates,
            event.user_id,
            event.email,
            event.locale,
            event.values,
        )
