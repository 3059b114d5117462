"""What notifications can do, each as one function:

- remember_user: where a user is reached
- forget_user: nothing personal stays
- notify: tell a user what happened to an order
- send_mail: a mail from a template
- list_notifications: what a user was told
"""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from generated.events import NotificationsEvent
from generated.proto.delivery.events.v1 import NotificationFailed, NotificationSent
from services.notifications import domain
from services.notifications.domain import Agent, Attempt, Notification, Provider, Status, Text, User, Verdict
from services.runtime import paging
from services.runtime.clock import Clock
from services.runtime.paging import Page
from services.runtime.principal import Principal


@dataclass(frozen=True, slots=True)
class Rule:
    """What is said for one type of event: by which agent, in which words."""

    agent: str
    texts: Mapping[str, Text]


@dataclass(frozen=True, slots=True)
class MailTemplate:
    """A mail in one language; all three may hold names in braces."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail as it leaves. `id` becomes its Message-ID, so that a repeat is known as one."""

    id: str
    to: str
    subject: str
    text: str
    html: str


class NotYet(Exception):
    """It cannot be done now, but may be later: a user not heard of yet, a provider that is away."""


class Undeliverable(Exception):
    """It never will be done; the message is a stable word."""


class Store(Protocol):
    """Agents and users."""

    async def put_user(self, user: User) -> None:
        """Keeps where a user is reached, unless something newer is known."""

    async def user(self, user_id: str) -> User | None:
        """Where a user is reached."""

    async def agent(self, agent_id: str) -> Agent | None:
        """The agent, enabled or not."""

    async def tell(self, queue: str, event_id: str, event: NotificationsEvent) -> None:
        """Lets the event leave, once per event consumed."""


class Documents(Protocol):
    """The history of notifications."""

    async def start(self, notification: Notification) -> Notification:
        """Keeps a new notification, or returns the one kept before under the same id."""

    async def save(self, notification: Notification) -> None:
        """Keeps how it stands now."""

    async def forget(self, user_id: str) -> None:
        """Removes what a user was told."""

    async def of_user(self, user_id: str, size: int, before: tuple[datetime, str] | None) -> list[Notification]:
        """Newest first."""


class PushProvider(Protocol):
    """A carrier of push notifications."""

    async def push(self, token: str, notification: Notification) -> tuple[Verdict, str]:
        """Sends to one device; answers with what it means, and the provider's word."""


class Mailer(Protocol):
    """A carrier of mail."""

    async def send(self, mail: Mail) -> None:
        """Hands the mail over. Raises NotYet when the server is away, Undeliverable when it refuses for good."""


async def remember_user(store: Store, user: User) -> None:
    """The newest version wins, whatever order they come in."""
    await store.put_user(user)


async def forget_user(store: Store, documents: Documents, user_id: str, version: int) -> None:
    """Leaves a mark of the id alone, so that an older event that comes later brings nothing back."""
    await store.put_user(User(user_id, "", None, None, None, version))
    await documents.forget(user_id)


async def notify(
    store: Store,
    documents: Documents,
    providers: Mapping[Provider, PushProvider],
    clock: Clock,
    queue: str,
    event_id: str,
    event_type: str,
    rule: Rule,
    user_id: str,
    order_id: str,
    facts: Mapping[str, object],
    *,
    patient: bool,
) -> None:
    """Tells the user, and keeps what came of it. `patient` waits for a user nobody has heard of yet.

    Raises NotYet to be tried again later.
    """
    user = await store.user(user_id)
    if user is None and patient:
        raise NotYet(f"user {user_id} is not known yet")
    agent = await store.agent(rule.agent)
    text = domain.localized(rule.texts, user.locale if user else None)
    notification = await documents.start(
        Notification(
            id=event_id,
            user_id=user_id,
            event=event_type,
            order_id=order_id,
            agent_id=rule.agent,
            title=text.title.format_map(facts),
            body=text.body.format_map(facts),
            status=Status.QUEUED,
            attempts=(),
            created_at=clock(),
        )
    )
    if notification.status is Status.QUEUED:
        notification = await _deliver(documents, providers, clock, notification, agent, user)
    await store.tell(queue, event_id, _told(notification, clock()))


async def _deliver(
    documents: Documents,
    providers: Mapping[Provider, PushProvider],
    clock: Clock,
    notification: Notification,
    agent: Agent | None,
    user: User | None,
) -> Notification:
    """Asks the agent's providers in order, until one accepts or all refuse. Raises NotYet on an unclear answer."""
    if agent is not None and domain.expired(notification, agent, clock()):
        notification = replace(notification, status=Status.EXPIRED)
    elif agent is None or not agent.enabled or user is None or user.notif_token is None:
        notification = replace(notification, status=Status.FAILED)
    else:
        names: Sequence[Provider] = [name for name in map(Provider, agent.providers) if name in providers]
        for name in names:
            verdict, word = await providers[name].push(user.notif_token, notification)
            attempt = Attempt(name, clock(), word)
            notification = domain.after(notification, attempt, verdict, last=name is names[-1])
            if verdict is Verdict.UNCLEAR:
                await documents.save(notification)
                raise NotYet(f"{name} answered {word}")
            if verdict is Verdict.ACCEPTED:
                break
        if not names:
            notification = replace(notification, status=Status.FAILED)
    await documents.save(notification)
    return notification


def _told(notification: Notification, at: datetime) -> NotificationsEvent:
    if notification.status is Status.SENT:
        return NotificationSent(notification_id=notification.id, user_id=notification.user_id, at=at)
    word = notification.attempts[-1].outcome if notification.attempts else notification.status.upper()
    return NotificationFailed(notification_id=notification.id, user_id=notification.user_id, reason=word, at=at)


async def send_mail(
    mailer: Mailer,
    templates: Mapping[str, MailTemplate],
    mail_id: str,
    to: str,
    locale: str | None,
    values: Mapping[str, str],
) -> None:
    """Fills in the template and hands the mail over. Raises what the mailer raises."""
    template = domain.localized(templates, locale)
    escaped = {name: html.escape(value) for name, value in values.items()}
    try:
        mail = Mail(
            id=mail_id,
            to=to,
            subject=template.subject.format_map(values),
            text=template.text.format_map(values),
            html=template.html.format_map(escaped),
        )
    except KeyError as error:
        raise Undeliverable(f"the value {error} is missing") from error
    await mailer.send(mail)


async def list_notifications(documents: Documents, who: Principal, size: int, token: str) -> Page[Notification]:
    """A page of what the user was told, newest first."""
    rows = await documents.of_user(who.user_id, size + 1, paging.decode(token, tuple[datetime, str]))
    return paging.cut(rows, size, lambda row: (row.created_at.isoformat(), row.id))
