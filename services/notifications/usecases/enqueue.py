"""Something that happened becomes a notification on its way."""

import html
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from services.notifications.domain.delivery_state import DeliveryJob
from services.notifications.domain.notifications import (
    DEFAULT_LOCALE,
    Mail,
    Notification,
    NotificationTemplate,
    Status,
    select_localised,
)
from services.notifications.usecases.ports import (
    AgentReader,
    HistoryRepository,
    JobQueue,
    MailTemplate,
    UnknownUserError,
    UserRepository,
)
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError

log = logging.getLogger(__name__)

ACCOUNT_MAIL_AGENT_ID = "mails"
"""The agent of the mails that accounts need."""

DEFAULT_PRIORITY = 1
DEFAULT_TTL_S = 86400


class SourceEvent(NamedTuple):
    """An event as the intake needs it. `queue` is where it came from, `trace` the context it came with."""

    queue: str
    event_id: str
    type: str
    trace_context: Mapping[str, str]


@dataclass(frozen=True)
class NotificationEnqueuer:
    """What the intake works with. `wake` tells each lane of workers that there is something to do."""

    users: UserRepository
    agents: AgentReader
    queue: JobQueue
    history: HistoryRepository
    clock: Clock
    worker_notifiers: Sequence[Callable[[], None]]

    async def enqueue(self, source: SourceEvent, notification: Notification, mail: Mail | None = None) -> None:
        """Puts the job into the queue and starts its history, once per event."""
        agent = await self.agents.get_agent(notification.agent_id)
        job = DeliveryJob(
            notification=notification,
            priority=agent.priority if agent else DEFAULT_PRIORITY,
            expires_at=notification.created_at + timedelta(seconds=agent.ttl_s if agent else DEFAULT_TTL_S),
            mail=mail,
            trace_context=tuple(source.trace_context.items()),
        )
        if not await self.queue.add(source.queue, source.event_id, job):
            return
        for wake in self.worker_notifiers:
            wake()
        try:
            await self.history.insert_if_absent(replace(notification, status=Status.QUEUED))
        except ApiError as refusal:
            log.warning("the history of %s begins with its first attempt: %s", job.id, refusal)


async def enqueue_notification(
    enqueuer: NotificationEnqueuer,
    source: SourceEvent,
    templates: Mapping[str, NotificationTemplate] | None,
    agent_id: str,
    user_id: str,
    order_id: str | None,
    values: Mapping[str, object],
    *,
    retry_unknown_user: bool,
) -> None:
    """Tells a user, in the user's language. `patient` waits for a user nobody has heard of yet, by raising NotYet.

    What cannot be said, for want of a text or of a value, is recorded as failed.
    """
    user = await enqueuer.users.get_user(user_id)
    if user is None and retry_unknown_user:
        raise UnknownUserError(f"user {user_id} is not known yet")
    notification = _create_notification(source, user_id, agent_id, order_id, enqueuer.clock())
    if templates is None:
        notification = replace(notification, status=Status.FAILED, reason="TEMPLATE_UNKNOWN")
    else:
        text = select_localised(templates, user.locale if user else None)
        try:
            title, body = render(text.title, values), render(text.body, values)
            notification = replace(notification, title=title, body=body)
        except KeyError:
            notification = replace(notification, status=Status.FAILED, reason="VALUE_MISSING")
    await enqueuer.enqueue(source, notification)


async def enqueue_mail(
    enqueuer: NotificationEnqueuer,
    source: SourceEvent,
    templates: Mapping[str, MailTemplate] | None,
    user_id: str,
    to: str,
    locale: str | None,
    values: Mapping[str, str],
) -> None:
    """Fills in a mail. Its subject stands in the history; its text, which may hold a code, only sealed in the queue."""
    notification = _create_notification(source, user_id, ACCOUNT_MAIL_AGENT_ID, None, enqueuer.clock())
    try:
        written = None if templates is None else render_mail(templates, source.event_id, to, locale, values)
    except KeyError:
        await enqueuer.enqueue(source, replace(notification, status=Status.FAILED, reason="VALUE_MISSING"))
        return
    if written is None:
        await enqueuer.enqueue(source, replace(notification, status=Status.FAILED, reason="TEMPLATE_UNKNOWN"))
        return
    title = select_localised(templates or {}, locale).subject
    await enqueuer.enqueue(source, replace(notification, title=title), written)


def render_mail(
    templates: Mapping[str, MailTemplate], mail_id: str, to: str, locale: str | None, values: Mapping[str, str]
) -> Mail:
    """A mail in the language nearest to the locale. Raises KeyError when a value is missing."""
    template = select_localised(templates, locale or DEFAULT_LOCALE)
    escaped = {name: html.escape(value) for name, value in values.items()}
    return Mail(
        id=mail_id,
        to=to,
        subject=render(template.subject, values),
        text=render(template.text, values),
        html=render(template.html, escaped),
    )


def render(template: str, values: Mapping[str, object]) -> str:
    """The text with its values; NUL bytes go, since no store and no phone takes them. Raises KeyError."""
    return template.format_map(values).replace("\x00", "")


def _create_notification(
    source: SourceEvent, user_id: str, agent_id: str, order_id: str | None, at: datetime
) -> Notification:
    return Notification(
        id=source.event_id,
        user_id=user_id,
        event=source.type,
        order_id=order_id,
        agent_id=agent_id,
        title="",
        body="",
        status=Status.QUEUED,
        created_at=at,
    )
