"""Something that happened becomes a notification on its way."""

import html
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from services.notifications.domain.notifications import DEFAULT_LOCALE, Mail, Notification, Status, Text, localized
from services.notifications.domain.progress import Job
from services.notifications.usecases.ports import Agents, History, MailTemplate, NotYet, Queue, Users
from services.runtime.clock import Clock
from services.runtime.refusal import Refusal

log = logging.getLogger(__name__)

MAILS = "mails"
"""The agent of the mails that accounts need."""

UNKNOWN_PRIORITY = 1
UNKNOWN_TTL = 86400


class Happened(NamedTuple):
    """An event as the intake needs it. `queue` is where it came from, `trace` the context it came with."""

    queue: str
    event_id: str
    type: str
    trace: Mapping[str, str]


@dataclass(frozen=True)
class Intake:
    """What the intake works with. `wake` tells each lane of workers that there is something to do."""

    users: Users
    agents: Agents
    queue: Queue
    history: History
    clock: Clock
    wake: Sequence[Callable[[], None]]

    async def put(self, happened: Happened, notification: Notification, mail: Mail | None = None) -> None:
        """Puts the job into the queue and starts its history, once per event."""
        agent = await self.agents.agent(notification.agent_id)
        job = Job(
            notification=notification,
            priority=agent.priority if agent else UNKNOWN_PRIORITY,
            expires_at=notification.created_at + timedelta(seconds=agent.ttl_s if agent else UNKNOWN_TTL),
            mail=mail,
            trace=tuple(happened.trace.items()),
        )
        if not await self.queue.add(happened.queue, happened.event_id, job):
            return
        for wake in self.wake:
            wake()
        try:
            await self.history.start(replace(notification, status=Status.QUEUED))
        except Refusal as refusal:
            log.warning("the history of %s begins with its first attempt: %s", job.id, refusal)


async def tell(
    intake: Intake,
    happened: Happened,
    texts: Mapping[str, Text] | None,
    agent_id: str,
    user_id: str,
    order_id: str | None,
    values: Mapping[str, object],
    *,
    patient: bool,
) -> None:
    """Tells a user, in the user's language. `patient` waits for a user nobody has heard of yet, by raising NotYet.

    What cannot be said, for want of a text or of a value, is recorded as failed.
    """
    user = await intake.users.user(user_id)
    if user is None and patient:
        raise NotYet(f"user {user_id} is not known yet")
    notification = _empty(happened, user_id, agent_id, order_id, intake.clock())
    if texts is None:
        notification = replace(notification, status=Status.FAILED, reason="TEMPLATE_UNKNOWN")
    else:
        text = localized(texts, user.locale if user else None)
        try:
            title, body = filled(text.title, values), filled(text.body, values)
            notification = replace(notification, title=title, body=body)
        except KeyError:
            notification = replace(notification, status=Status.FAILED, reason="VALUE_MISSING")
    await intake.put(happened, notification)


async def mail(
    intake: Intake,
    happened: Happened,
    templates: Mapping[str, MailTemplate] | None,
    user_id: str,
    to: str,
    locale: str | None,
    values: Mapping[str, str],
) -> None:
    """Fills in a mail. Its subject stands in the history; its text, which may hold a code, only sealed in the queue."""
    notification = _empty(happened, user_id, MAILS, None, intake.clock())
    try:
        written = None if templates is None else write(templates, happened.event_id, to, locale, values)
    except KeyError:
        await intake.put(happened, replace(notification, status=Status.FAILED, reason="VALUE_MISSING"))
        return
    if written is None:
        await intake.put(happened, replace(notification, status=Status.FAILED, reason="TEMPLATE_UNKNOWN"))
        return
    title = localized(templates or {}, locale).subject
    await intake.put(happened, replace(notification, title=title), written)


def write(
    templates: Mapping[str, MailTemplate], mail_id: str, to: str, locale: str | None, values: Mapping[str, str]
) -> Mail:
    """A mail in the language nearest to the locale. Raises KeyError when a value is missing."""
    template = localized(templates, locale or DEFAULT_LOCALE)
    escaped = {name: html.escape(value) for name, value in values.items()}
    return Mail(
        id=mail_id,
        to=to,
        subject=filled(template.subject, values),
        text=filled(template.text, values),
        html=filled(template.html, escaped),
    )


def filled(text: str, values: Mapping[str, object]) -> str:
    """The text with its values; NUL bytes go, since no store and no phone takes them. Raises KeyError."""
    return text.format_map(values).replace("\x00", "")


def _empty(happened: Happened, user_id: str, agent_id: str, order_id: str | None, at: datetime) -> Notification:
    return Notification(
        id=happened.event_id,
        user_id=user_id,
        event=happened.type,
        order_id=order_id,
        agent_id=agent_id,
        title="",
        body="",
        status=Status.QUEUED,
        created_at=at,
    )
