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
from services.notifications import texts
from services.notifications.domain.notifications import ID, Text, User
from services.notifications.usecases import intake, users
from services.notifications.usecases.intake import Happened, Intake
from services.notifications.usecases.ports import History, MailTemplate, Rule, Users
from services.notifications.usecases.users import Waiting
from services.runtime import tracing
from services.runtime.events import Delivery, MalformedEvent

log = logging.getLogger(__name__)

PATIENCE = 3
"""How many attempts wait for a user whose own event has not arrived yet."""

OPERATORS = "operators"
"""The user that "@operators" stands for."""


class _Teller:
    """Says what the rules say for an event."""

    def __init__(self, to: Intake, rules: Mapping[str, Rule]) -> None:
        self._to = to
        self._rules = rules

    async def tell(self, event: object, delivery: Delivery) -> None:
        """Puts it on its way. Raises MalformedEvent when nobody is named."""
        rule = self._rules[delivery.type]
        user_id = OPERATORS if rule.to == f"@{OPERATORS}" else at(event, rule.to)
        await intake.tell(
            self._to,
            happened(delivery),
            rule.texts,
            rule.agent,
            user_id,
            at(event, rule.order) if rule.order else None,
            values(event),
            patient=delivery.attempt <= PATIENCE and user_id != OPERATORS,
        )


def at(event: object, path: str) -> str:
    """What stands at "order.customer_id". Raises MalformedEvent when nothing does."""
    found: object = event
    for name in path.split("."):
        found = getattr(found, name, None)
    if not isinstance(found, str) or not found:
        raise MalformedEvent(f"there is nothing at {path}")
    return found


def values(event: object) -> dict[str, object]:
    """The fields of an event, and those of the messages in it."""
    found: dict[str, object] = {}
    for name, value in vars(event).items():
        if is_dataclass(value):
            found |= {field.name: getattr(value, field.name) for field in fields(value)}
        else:
            found[name] = value
    return found


def happened(delivery: Delivery) -> Happened:
    """The event as the intake needs it. Raises MalformedEvent when its id could be no notification's."""
    if ID.fullmatch(delivery.event_id) is None:
        raise MalformedEvent("the id is none of ours")
    return Happened(delivery.queue, delivery.event_id, delivery.type, tracing.carrier())


class Orders(_Teller, NotificationsOrdersConsumer):
    """What happened to an order, told to its customer."""

    async def order_paid(self, event: OrderPaid, delivery: Delivery) -> None:
        """Paid."""
        await self.tell(event, delivery)

    async def order_ready(self, event: OrderReady, delivery: Delivery) -> None:
        """Ready."""
        await self.tell(event, delivery)

    async def order_assigned(self, event: OrderAssigned, delivery: Delivery) -> None:
        """On its way."""
        await self.tell(event, delivery)

    async def order_delivered(self, event: OrderDelivered, delivery: Delivery) -> None:
        """At the door."""
        await self.tell(event, delivery)

    async def order_cancelled(self, event: OrderCancelled, delivery: Delivery) -> None:
        """Given up."""
        await self.tell(event, delivery)

    async def order_expired(self, event: OrderExpired, delivery: Delivery) -> None:
        """Not paid in time."""
        await self.tell(event, delivery)

    async def refunded(self, event: Refunded, delivery: Delivery) -> None:
        """The money goes back, if it was for anybody's order."""
        if event.customer_id:
            await self.tell(event, delivery)


class Alerts(_Teller, NotificationsAlertsConsumer):
    """What a person should look at: in the log, and told to the operators."""

    async def system_alert(self, event: SystemAlert, delivery: Delivery) -> None:
        """One alert."""
        log.error("system alert %s on %s: %s", event.reason, event.subject, event.detail)
        await self.tell(event, delivery)


class _Asked:
    """Says what others ask for."""

    def __init__(self, to: Intake, templates: Mapping[str, Mapping[str, Text]]) -> None:
        self._to = to
        self._templates = templates

    async def notification_requested(self, event: NotificationRequested, delivery: Delivery) -> None:
        """One request."""
        await intake.tell(
            self._to,
            happened(delivery)._replace(queue=NotificationsRequestedConsumer.QUEUE),
            self._templates.get(event.template),
            event.agent_id,
            at(event, "user_id"),
            event.order_id,
            event.values,
            patient=delivery.attempt <= PATIENCE,
        )


class Requests(_Asked, NotificationsRequestedConsumer):
    """What others want somebody to be told, by any agent."""

    PREFETCH: ClassVar[int] = 200
    """As many as are written down at once."""


class UrgentRequests(_Asked, NotificationsUrgentConsumer):
    """Copies of those by urgent agents, which overtake the others; the inbox of both is one, so each is told once."""


class UserEvents(NotificationsUsersConsumer):
    """Where users are reached."""

    def __init__(self, known: Users, waiting: Waiting, history: History) -> None:
        self._known = known
        self._waiting = waiting
        self._history = history

    async def user_registered(self, event: UserRegistered, delivery: Delivery) -> None:
        """New."""
        await self._remember(event)

    async def user_updated(self, event: UserUpdated, delivery: Delivery) -> None:
        """Changed."""
        await self._remember(event)

    async def user_deleted(self, event: UserDeleted, delivery: Delivery) -> None:
        """Gone."""
        await users.forget(self._known, self._waiting, self._history, event.user_id, event.version)

    async def _remember(self, event: UserRegistered | UserUpdated) -> None:
        user = User(event.user_id, event.email, event.locale, event.time_zone, event.version)
        await users.remember(self._known, user, event.notif_token)


class Mails(NotificationsMailConsumer):
    """Mails that were asked for."""

    def __init__(self, to: Intake, templates: Mapping[str, Mapping[str, MailTemplate]]) -> None:
        self._to = to
        self._templates = templates

    async def email_requested(self, event: EmailRequested, delivery: Delivery) -> None:
        """One mail."""
        templates = None if event.template == texts.LETTER else self._templates.get(event.template)
        await intake.mail(
            self._to, happened(delivery), templates, event.user_id, event.email, event.locale, event.values
        )
