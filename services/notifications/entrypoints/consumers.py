"""The broker's doors of notifications."""

import logging
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
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
from services.notifications.adapters import template_loader
from services.notifications.domain.notifications import ID_PATTERN, NotificationTemplate, User
from services.notifications.usecases import contacts, enqueue
from services.notifications.usecases.contacts import PendingJobs
from services.notifications.usecases.enqueue import NotificationEnqueuer, SourceEvent
from services.notifications.usecases.ports import HistoryRepository, MailTemplate, NotificationRule, UserRepository
from services.runtime.messaging.events import MalformedEvent, MessageMetadata
from services.runtime.telemetry import tracing

log = logging.getLogger(__name__)

MAX_UNKNOWN_USER_ATTEMPTS = 3
"""How many attempts wait for a user whose own event has not arrived yet."""

OPERATORS_USER_ID = "operators"
"""The user that "@operators" stands for."""


class _RuleNotifier:
    """Says what the rules say for an event."""

    def __init__(self, enqueuer: NotificationEnqueuer, rules: Mapping[str, NotificationRule]) -> None:
        self._enqueuer = enqueuer
        self._rules = rules

    async def notify(self, event: object, delivery: MessageMetadata) -> None:
        """Puts it on its way. Raises MalformedEvent when nobody is named."""
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
    """What stands at "order.customer_id". Raises MalformedEvent when nothing does."""
    found: object = event
    for name in path.split("."):
        found = getattr(found, name, None)
    if not isinstance(found, str) or not found:
        raise MalformedEvent(f"there is nothing at {path}")
    return found


def collect_template_values(event: object) -> dict[str, object]:
    """The fields of an event, and those of the messages in it."""
    found: dict[str, object] = {}
    for name, value in vars(event).items():
        if is_dataclass(value):
            found |= {field.name: getattr(value, field.name) for field in fields(value)}
        else:
            found[name] = value
    return found


def build_source_event(delivery: MessageMetadata) -> SourceEvent:
    """The event as the intake needs it. Raises MalformedEvent when its id could be no notification's."""
    if ID_PATTERN.fullmatch(delivery.event_id) is None:
        raise MalformedEvent("the id is none of ours")
    return SourceEvent(delivery.queue, delivery.event_id, delivery.type, tracing.get_context_headers())


class OrdersConsumer(_RuleNotifier, NotificationsOrdersConsumer):
    """What happened to an order, told to its customer."""

    async def order_paid(self, event: OrderPaid, delivery: MessageMetadata) -> None:
        """Paid."""
        await self.notify(event, delivery)

    async def order_ready(self, event: OrderReady, delivery: MessageMetadata) -> None:
        """Ready."""
        await self.notify(event, delivery)

    async def order_assigned(self, event: OrderAssigned, delivery: MessageMetadata) -> None:
        """On its way."""
        await self.notify(event, delivery)

    async def order_delivered(self, event: OrderDelivered, delivery: MessageMetadata) -> None:
        """At the door."""
        await self.notify(event, delivery)

    async def order_cancelled(self, event: OrderCancelled, delivery: MessageMetadata) -> None:
        """Given up."""
        await self.notify(event, delivery)

    async def order_expired(self, event: OrderExpired, delivery: MessageMetadata) -> None:
        """Not paid in time."""
        await self.notify(event, delivery)

    async def refunded(self, event: Refunded, delivery: MessageMetadata) -> None:
        """The money goes back, if it was for anybody's order."""
        if event.customer_id:
            await self.notify(event, delivery)


class AlertsConsumer(_RuleNotifier, NotificationsAlertsConsumer):
    """What a person should look at: in the log, and told to the operators."""

    async def system_alert(self, event: SystemAlert, delivery: MessageMetadata) -> None:
        """One alert."""
        log.error("system alert %s on %s: %s", event.reason, event.subject, event.detail)
        await self.notify(event, delivery)


class _RequestConsumer:
    """Says what others ask for."""

    def __init__(
        self, enqueuer: NotificationEnqueuer, templates: Mapping[str, Mapping[str, NotificationTemplate]]
    ) -> None:
        self._enqueuer = enqueuer
        self._templates = templates

    async def notification_requested(self, event: NotificationRequested, delivery: MessageMetadata) -> None:
        """One request."""
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
    """What others want somebody to be told, by any agent."""

    PREFETCH: ClassVar[int] = 200
    """As many as are written down at once."""


class UrgentRequestsConsumer(_RequestConsumer, NotificationsUrgentConsumer):
    """Copies of those by urgent agents, which overtake the others; the inbox of both is one, so each is told once."""


class UsersConsumer(NotificationsUsersConsumer):
    """Where users are reached."""

    def __init__(self, user_repository: UserRepository, pending_jobs: PendingJobs, history: HistoryRepository) -> None:
        self._users = user_repository
        self._pending_jobs = pending_jobs
        self._history = history

    async def user_registered(self, event: UserRegistered, delivery: MessageMetadata) -> None:
        """New."""
        await self._upsert_contact(event)

    async def user_updated(self, event: UserUpdated, delivery: MessageMetadata) -> None:
        """Changed."""
        await self._upsert_contact(event)

    async def user_deleted(self, event: UserDeleted, delivery: MessageMetadata) -> None:
        """Gone."""
        await contacts.delete_contact(self._users, self._pending_jobs, self._history, event.user_id, event.version)

    async def _upsert_contact(self, event: UserRegistered | UserUpdated) -> None:
        user = User(event.user_id, event.email, event.locale, event.time_zone, event.version)
        await contacts.upsert_contact(self._users, user, event.notif_token)


class MailConsumer(NotificationsMailConsumer):
    """Mails that were asked for."""

    def __init__(self, enqueuer: NotificationEnqueuer, templates: Mapping[str, Mapping[str, MailTemplate]]) -> None:
        self._enqueuer = enqueuer
        self._templates = templates

    async def email_requested(self, event: EmailRequested, delivery: MessageMetadata) -> None:
        """One mail."""
        templates = (
            None if event.template == template_loader.FALLBACK_MAIL_TEMPLATE else self._templates.get(event.template)
        )
        await enqueue.enqueue_mail(
            self._enqueuer,
            build_source_event(delivery),
            templates,
            event.user_id,
            event.email,
            event.locale,
            event.values,
        )
