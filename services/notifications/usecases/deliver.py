"""Delivery of a notification: one step of a job, from the choice of provider to the recorded result."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from generated.events import NotificationsEvent
from generated.proto.delivery.events.v1 import NotificationFailed, NotificationSent
from services.notifications.domain.agents import MIN_URGENT_PRIORITY, Agent
from services.notifications.domain.delivery_state import (
    BreakerOpen,
    DeliveryJob,
    DeliveryState,
    Finish,
    Lease,
    LoadRecipient,
    ProviderResponses,
    Recipient,
    Reschedule,
    RetryPolicy,
    Send,
    StepResult,
)
from services.notifications.domain.notifications import (
    Mail,
    MailTemplate,
    Notification,
    Provider,
    ProviderResponse,
    Push,
    Status,
    compute_device_id,
)
from services.notifications.domain.rendering import render_mail
from services.notifications.usecases.contacts import delete_history_of_deleted_user
from services.notifications.usecases.delivery_jobs import DeliveryJobs
from services.notifications.usecases.ports import HistoryRepository, Repository
from services.runtime.core import backoff
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError
from services.runtime.core.repository import EntityReader

log = logging.getLogger(__name__)

HISTORY_RETRY_DELAY = timedelta(seconds=5)
"""Delay before a finished job is completed again after the history was unavailable."""

UNDECODABLE_REASON = "INTERNAL_ERROR"
"""Reason of a failed notification whose job could not be decoded."""


class PushClient(Protocol):
    """Client of a push provider."""

    async def push(self, token: str, push: Push) -> ProviderResponse:
        """Send a push to one device."""


class MailClient(Protocol):
    """Client of a mail server."""

    async def send(self, mail: Mail) -> ProviderResponse:
        """Send a mail."""


class ProviderCircuitBreaker(Protocol):
    """Circuit breaker of a provider; it also honours the provider's Retry-After."""

    def reserve_permission(self) -> timedelta:
        """Return the time until a call is permitted; zero permits the call now."""

    def record(self, response: ProviderResponse) -> None:
        """Record the response of a call."""


class ProviderRegistry(Protocol):
    """Registry of provider clients and their circuit breakers."""

    mail_client: MailClient

    async def get_push_client(self, agent: Agent, provider: Provider) -> PushClient | None:
        """Return the agent's client of the provider, or None if it does not exist."""

    def get_breaker(self, agent: Agent, provider: Provider) -> ProviderCircuitBreaker:
        """Return the circuit breaker of the agent's client of the provider."""


@dataclass(frozen=True)
class DeliveryContext:
    """Dependencies of a delivery step.

    `fallback_mail_templates` by locale render a notification that is delivered by mail.
    """

    repository: Repository
    agents: EntityReader[str, Agent]
    providers: ProviderRegistry
    jobs: DeliveryJobs
    history: HistoryRepository
    fallback_mail_templates: Mapping[str, MailTemplate]
    retry_policy: RetryPolicy
    clock: Clock


async def deliver(context: DeliveryContext, job: DeliveryJob) -> datetime | None:
    """Run one delivery step of a leased job, then reschedule or complete it. Return the time at which it is due again.

    Return None for a completed job, and for one whose lease is lost.
    """
    state = DeliveryState.start(job, context.retry_policy)
    while True:
        result: StepResult
        match state.decide_next_step(context.clock()):
            case LoadRecipient():
                result = await _load_recipient(context, job)
            case Send() as send:
                result = await _send(context, job, send)
            case Reschedule(due_at):
                return await _reschedule(context, state.job, due_at)
            case Finish(notification):
                return await _complete(context, replace(state.job, notification=notification))
        state = state.apply(result, context.clock())


async def _load_recipient(context: DeliveryContext, job: DeliveryJob) -> Recipient:
    """Load the recipient, without addresses if nothing may be sent to them."""
    agent = await context.agents.get(job.notification.agent_id)
    user, devices = job.contact or await context.repository.users.get_contact(job.notification.user_id)
    if job.mail is not None:
        return Recipient(agent, user, {Provider.EMAIL: [job.mail.to]})
    if agent is None or not agent.enabled or user is None or user.is_deleted:
        return Recipient(agent, user, {})
    addresses: dict[Provider, list[str]] = {provider: [] for provider in agent.providers}
    for device in devices:
        if device.provider in addresses:
            addresses[device.provider].append(device.token)
    if Provider.EMAIL in addresses:
        addresses[Provider.EMAIL] = [user.email]
    has_client = {
        provider: provider is Provider.EMAIL or await context.providers.get_push_client(agent, provider) is not None
        for provider in addresses
    }
    return Recipient(
        agent, user, {provider: tokens for provider, tokens in addresses.items() if tokens and has_client[provider]}
    )


async def _send(context: DeliveryContext, job: DeliveryJob, send: Send) -> ProviderResponses | BreakerOpen:
    """Send to all addresses concurrently; delete the devices that the provider no longer knows."""
    breaker = context.providers.get_breaker(send.agent, send.provider)
    if delay := breaker.reserve_permission():
        return BreakerOpen(delay)
    responses = await asyncio.gather(*(_send_to(context, job, send, address) for address in send.addresses))
    for address, response in zip(send.addresses, responses, strict=True):
        breaker.record(response)
        if response.is_unregistered:
            async with context.repository.unit_of_work() as unit:
                await unit.users.delete_device(job.notification.user_id, address)
                await unit.devices.remove(job.notification.user_id, compute_device_id(address))
    return ProviderResponses(dict(zip(send.addresses, responses, strict=True)), backoff.draw_jitter())


async def _send_to(context: DeliveryContext, job: DeliveryJob, send: Send, address: str) -> ProviderResponse:
    if send.provider is not Provider.EMAIL:
        push_client = await context.providers.get_push_client(send.agent, send.provider)
        if push_client is None:
            raise LookupError(send.provider)
        return await push_client.push(address, _build_push(job, send.agent))
    if job.mail is not None:
        return await context.providers.mail_client.send(job.mail)
    notification = job.notification
    values = {"title": notification.title, "body": notification.body}
    locale = send.user.locale if send.user else None
    mail = render_mail(context.fallback_mail_templates, notification.id, address, locale, values)
    return await context.providers.mail_client.send(mail)


def _build_push(job: DeliveryJob, agent: Agent) -> Push:
    notification = job.notification
    data = {"notification_id": notification.id, "event": notification.event}
    if notification.order_id:
        data["order_id"] = notification.order_id
    return Push(
        id=notification.id,
        title=notification.title,
        body=notification.body,
        data=data,
        expires_at=job.expires_at,
        is_urgent=agent.priority >= MIN_URGENT_PRIORITY,
        collapse_key=notification.order_id if agent.collapse else None,
    )


async def _reschedule(context: DeliveryContext, job: DeliveryJob, due_at: datetime) -> datetime | None:
    """Store the state in the history, then release the job until `due_at`; return None if the lease is lost."""
    try:
        await context.history.upsert(job.notification)
    except ApiError as error:
        log.warning("history of %s not updated: %s; the next delivery step will update it", job.id, error)
    return await _reschedule_job(context, job, due_at)


async def _reschedule_job(context: DeliveryContext, job: DeliveryJob, due_at: datetime) -> datetime | None:
    if await context.jobs.reschedule(job, due_at):
        return due_at
    # The job may have been deleted together with its user before this step has written to the history.
    await delete_history_of_deleted_user(context.repository.users, context.history, job.notification.user_id)
    return None


async def _complete(context: DeliveryContext, job: DeliveryJob) -> datetime | None:
    """Store the final state in the history, then complete the job and publish its result event.

    While the history is unavailable, the job stays queued with the final state. Return the time at which it is due.
    """
    notification = job.notification
    try:
        await context.history.upsert(notification)
    except ApiError as error:
        log.warning("history of %s not updated: %s; job rescheduled", job.id, error)
        return await _reschedule_job(context, job, context.clock() + HISTORY_RETRY_DELAY)
    if not await context.jobs.complete(job.lease, _build_result_event(notification, context.clock())):
        await delete_history_of_deleted_user(context.repository.users, context.history, notification.user_id)
    return None


async def fail_undecodable_job(
    jobs: DeliveryJobs, history: HistoryRepository, clock: Clock, lease: Lease, user_id: str
) -> None:
    """Store the failure of a job that cannot be decoded in the history, then complete the job."""
    job_id, _ = lease
    await history.set_failed(job_id, UNDECODABLE_REASON)
    failed = NotificationFailed(notification_id=job_id, user_id=user_id, reason=UNDECODABLE_REASON, at=clock())
    await jobs.complete(lease, failed)


def _build_result_event(notification: Notification, at: datetime) -> NotificationsEvent:
    if notification.status is Status.SENT:
        return NotificationSent(notification_id=notification.id, user_id=notification.user_id, at=at)
    reason = notification.reason or notification.status.upper()
    return NotificationFailed(notification_id=notification.id, user_id=notification.user_id, reason=reason, at=at)
