"""The broker's doors of notifications."""

import logging
from collections.abc import Mapping

from generated.events.consumers import (
    NotificationsAlertsConsumer,
    NotificationsMailConsumer,
    NotificationsOrdersConsumer,
    NotificationsUsersConsumer,
)
from generated.proto.delivery.events.v1 import (
    EmailRequested,
    OrderAssigned,
    OrderDelivered,
    OrderFacts,
    OrderPaid,
    OrderReady,
    SystemAlert,
    UserDeleted,
    UserRegistered,
    UserUpdated,
)
from services.notifications import usecases
from services.notifications.domain import Provider, User
from services.notifications.usecases import (
    Documents,
    Mailer,
    MailTemplate,
    PushProvider,
    Rule,
    Store,
    Undeliverable,
)
from services.runtime.clock import Clock
from services.runtime.events import Delivery, MalformedEvent

log = logging.getLogger(__name__)

PATIENCE = 3
"""How many attempts wait for a user whose own event has not arrived yet."""


class Orders(NotificationsOrdersConsumer):
    """What happened to an order, told to its customer."""

    def __init__(
        self,
        store: Store,
        documents: Documents,
        providers: Mapping[Provider, PushProvider],
        rules: Mapping[str, Rule],
        clock: Clock,
    ) -> None:
        self._store = store
        self._documents = documents
        self._providers = providers
        self._rules = rules
        self._clock = clock

    async def order_paid(self, event: OrderPaid, delivery: Delivery) -> None:
        """Paid."""
        await self._notify(event.order, delivery)

    async def order_ready(self, event: OrderReady, delivery: Delivery) -> None:
        """Ready."""
        await self._notify(event.order, delivery)

    async def order_assigned(self, event: OrderAssigned, delivery: Delivery) -> None:
        """On its way."""
        await self._notify(event.order, delivery)

    async def order_delivered(self, event: OrderDelivered, delivery: Delivery) -> None:
        """At the door."""
        await self._notify(event.order, delivery)

    async def _notify(self, order: OrderFacts | None, delivery: Delivery) -> None:
        if order is None:
            raise MalformedEvent("an event of an order without its order")
        await usecases.notify(
            self._store,
            self._documents,
            self._providers,
            self._clock,
            self.QUEUE,
            delivery.event_id,
            delivery.type,
            self._rules[delivery.type],
            order.customer_id,
            order.order_id,
            vars(order),
            patient=delivery.attempt <= PATIENCE,
        )


class Users(NotificationsUsersConsumer):
    """Where users are reached."""

    def __init__(self, store: Store, documents: Documents) -> None:
        self._store = store
        self._documents = documents

    async def user_registered(self, event: UserRegistered, delivery: Delivery) -> None:
        """New."""
        await self._remember(event)

    async def user_updated(self, event: UserUpdated, delivery: Delivery) -> None:
        """Changed."""
        await self._remember(event)

    async def user_deleted(self, event: UserDeleted, delivery: Delivery) -> None:
        """Gone."""
        await usecases.forget_user(self._store, self._documents, event.user_id, event.version)

    async def _remember(self, event: UserRegistered | UserUpdated) -> None:
        user = User(event.user_id, event.email, event.notif_token, event.locale, event.time_zone, event.version)
        await usecases.remember_user(self._store, user)


class Mails(NotificationsMailConsumer):
    """Mails that were asked for."""

    def __init__(self, mailer: Mailer, templates: Mapping[str, Mapping[str, MailTemplate]]) -> None:
        self._mailer = mailer
        self._templates = templates

    async def email_requested(self, event: EmailRequested, delivery: Delivery) -> None:
        """One mail."""
        if event.template not in self._templates:
            raise MalformedEvent(f"there is no template {event.template!r}")
        templates = self._templates[event.template]
        try:
            await usecases.send_mail(
                self._mailer, templates, delivery.event_id, event.email, event.locale, event.values
            )
        except Undeliverable as error:
            raise MalformedEvent(f"undeliverable: {error}") from error


class Alerts(NotificationsAlertsConsumer):
    """What a person should look at, where the operators' log collector sees it."""

    async def system_alert(self, event: SystemAlert, delivery: Delivery) -> None:
        """One alert."""
        log.error("system alert %s on %s: %s", event.reason, event.subject, event.detail)
