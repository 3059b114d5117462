"""Creation and queueing of notifications and mails."""

import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from services.notifications.domain.agents import Agent
from services.notifications.domain.delivery_state import DeliveryJob
from services.notifications.domain.notifications import (
    Contact,
    Mail,
    MailTemplate,
    Notification,
    NotificationTemplate,
    Status,
    select_localised,
)
from services.notifications.domain.rendering import render, render_mail
from services.notifications.usecases.contacts import delete_history_of_deleted_user
from services.notifications.usecases.delivery_jobs import DeliveryJobs
from services.notifications.usecases.ports import HistoryRepository, UserReader
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError
from services.runtime.core.repository import EntityReader

log = logging.getLogger(__name__)

ACCOUNT_MAIL_AGENT_ID = "mails"
"""Agent of account mails (verification, password reset, deletion)."""

FALLBACK_MAIL_TEMPLATE = "notification"
"""Name of the mail template for a notification that no push provider has delivered."""

DEFAULT_PRIORITY = 1
DEFAULT_TTL_S = 86400


class UnknownUserError(Exception):
    """The user is unknown; their registration event may still arrive, so the message can be retried."""


class SourceEvent(NamedTuple):
    """Identity of a consumed event: source queue, id, type and trace context headers."""

    queue: str
    event_id: str
    type: str
    trace_context: Mapping[str, str]


class WorkerReservation(AbstractContextManager["WorkerReservation"], Protocol):
    """Worker that is reserved for a job with a lease until `lease_until`, and released at the end of the block."""

    lease_until: datetime

    def start(self, job: DeliveryJob) -> None:
        """Start the delivery of a job that was added to the queue with this lease."""


class DeliveryWorkers(Protocol):
    """Workers that deliver notifications."""

    def reserve(self, priority: int) -> WorkerReservation | None:
        """Reserve a worker for a job of this priority; return None if none is free or other jobs wait."""

    def notify(self) -> None:
        """Notify the workers of a job that was added to the queue."""


@dataclass(frozen=True)
class NotificationEnqueuer:
    """Adds notifications to the job queue."""

    users: UserReader
    agents: EntityReader[str, Agent]
    jobs: DeliveryJobs
    history: HistoryRepository
    clock: Clock
    workers: DeliveryWorkers

    async def enqueue(
        self,
        source: SourceEvent,
        notification: Notification,
        *,
        mail: Mail | None = None,
        contact: Contact | None = None,
    ) -> None:
        """Queue the delivery of the notification, once per event.

        If a worker is free, the job is leased to it and delivered at once, to the contact if that has been read, and
        its history begins with the result.
        """
        agent = await self.agents.get(notification.agent_id)
        job = DeliveryJob(
            notification=notification,
            priority=agent.priority if agent else DEFAULT_PRIORITY,
            expires_at=notification.created_at + timedelta(seconds=agent.ttl_s if agent else DEFAULT_TTL_S),
            mail=mail,
            trace_context=tuple(source.trace_context.items()),
            contact=contact,
        )
        reservation = self.workers.reserve(job.priority)
        if reservation is None:
            if await self.jobs.add(source.queue, source.event_id, job):
                self.workers.notify()
                await self._start_history(job)
            return
        with reservation:
            job = replace(job, lease_expires_at=reservation.lease_until)
            if await self.jobs.add(source.queue, source.event_id, job):
                reservation.start(job)

    async def _start_history(self, job: DeliveryJob) -> None:
        """Insert the notification into the history, unless its job was deleted together with its user meanwhile.

        Jobs of account mails are not deleted.
        """
        notification = job.notification
        try:
            await self.history.insert_if_absent(replace(notification, status=Status.QUEUED))
            if job.mail is None:
                await delete_history_of_deleted_user(self.users, self.history, notification.user_id)
        except ApiError as error:
            log.warning(
                "history entry of %s not created or checked: %s; the first attempt will replace it", job.id, error
            )


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
    """Queue a notification in the user's language.

    A missing template or template value is recorded as a failed notification. With `retry_unknown_user`, raises
    UnknownUserError for an unknown user.
    """
    contact = await enqueuer.users.get_contact(user_id)
    user = contact.user
    if user is None and retry_unknown_user:
        raise UnknownUserError(f"user {user_id} is unknown")
    notification = _create_notification(source, user_id, agent_id, order_id, enqueuer.clock())
    if templates is None:
        notification = replace(notification, status=Status.FAILED, reason="TEMPLATE_UNKNOWN")
    else:
        template = select_localised(templates, user.locale if user else None)
        try:
            title, body = render(template.title, values), render(template.body, values)
            notification = replace(notification, title=title, body=body)
        except KeyError:
            notification = replace(notification, status=Status.FAILED, reason="VALUE_MISSING")
    await enqueuer.enqueue(source, notification, contact=contact)


async def enqueue_mail(
    enqueuer: NotificationEnqueuer,
    source: SourceEvent,
    templates: Mapping[str, MailTemplate] | None,
    user_id: str,
    to: str,
    locale: str | None,
    values: Mapping[str, str],
) -> None:
    """Queue a mail. The history contains its subject only.

    The text may contain a verification code and is stored encrypted, in the job queue only.
    """
    notification = _create_notification(source, user_id, ACCOUNT_MAIL_AGENT_ID, None, enqueuer.clock())
    try:
        mail = None if templates is None else render_mail(templates, source.event_id, to, locale, values)
    except KeyError:
        await enqueuer.enqueue(source, replace(notification, status=Status.FAILED, reason="VALUE_MISSING"))
        return
    if mail is None:
        await enqueuer.enqueue(source, replace(notification, status=Status.FAILED, reason="TEMPLATE_UNKNOWN"))
        return
    title = select_localised(templates or {}, locale).subject
    await enqueuer.enqueue(source, replace(notification, title=title), mail=mail)


def _create_notification(
    source: SourceEvent, user_id: str, agent_id: str, order_id: str | None, created_at: datetime
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
        created_at=created_at,
    )
