"""Delivery of a notification: one step of a job, from the choice of provider to the recorded result."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from generated.events import NotificationsEvent
from generated.proto.delivery.events.v1 import NotificationFailed, NotificationSent
from services.notifications.domain import delivery_state
from services.notifications.domain.agents import MIN_URGENT_PRIORITY, Agent, find_quiet_hours_end
from services.notifications.domain.delivery_state import DeliveryJob, NextStep, RetryPolicy
from services.notifications.domain.notifications import (
    Mail,
    MailTemplate,
    Notification,
    Provider,
    ProviderResponse,
    Push,
    Status,
    User,
)
from services.notifications.usecases import enqueue
from services.notifications.usecases.ports import AgentReader, HistoryRepository, JobQueue, UserRepository
from services.runtime.core import backoff
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError

log = logging.getLogger(__name__)

HISTORY_RETRY_DELAY = timedelta(seconds=5)
"""Delay before a finished job is completed again after the history was unavailable."""


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

    users: UserRepository
    agents: AgentReader
    providers: ProviderRegistry
    queue: JobQueue
    history: HistoryRepository
    fallback_mail_templates: Mapping[str, MailTemplate]
    retry_policy: RetryPolicy
    clock: Clock


async def deliver(context: DeliveryContext, job: DeliveryJob) -> None:
    """Run one delivery step of a claimed job. Afterwards the job is rescheduled or completed."""
    notification, now = job.notification, context.clock()
    if notification.status is not Status.QUEUED:
        return await _finish(context, job, notification)
    if now >= job.expires_at:
        return await _finish(context, job, delivery_state.expire(job))
    agent, user = (
        await context.agents.get_agent(notification.agent_id),
        await context.users.get_user(notification.user_id),
    )
    if (reason := _find_rejection_reason(job, agent, user)) is not None or agent is None:
        return await _finish(context, job, delivery_state.finish(job, reason or "AGENT_UNKNOWN"))
    if job.mail is None and user and (quiet_until := find_quiet_hours_end(agent.quiet_hours, user.time_zone, now)):
        return await _reschedule(context, job, min(quiet_until, job.expires_at))
    return await _try_providers(context, job, agent, await _resolve_addresses(context, job, agent, user))


def _find_rejection_reason(job: DeliveryJob, agent: Agent | None, user: User | None) -> str | None:
    if agent is None:
        return "AGENT_UNKNOWN"
    if not agent.enabled:
        return "AGENT_DISABLED"
    if job.mail is not None:
        return None
    if user is None:
        return "USER_UNKNOWN"
    return "USER_GONE" if user.is_deleted else None


async def _resolve_addresses(
    context: DeliveryContext, job: DeliveryJob, agent: Agent, user: User | None
) -> dict[Provider, list[str]]:
    """Return the user's addresses by provider, in the agent's order; providers without address are omitted."""
    if job.mail is not None:
        return {Provider.EMAIL: [job.mail.to]}
    addresses_by_provider: dict[Provider, list[str]] = {provider: [] for provider in agent.providers}
    for device in await context.users.list_devices(job.notification.user_id):
        if device.provider in addresses_by_provider:
            addresses_by_provider[device.provider].append(device.token)
    if Provider.EMAIL in addresses_by_provider and user is not None:
        addresses_by_provider[Provider.EMAIL] = [user.email]
    has_client = {
        provider: provider is Provider.EMAIL or await context.providers.get_push_client(agent, provider) is not None
        for provider in addresses_by_provider
    }
    return {
        provider: addresses
        for provider, addresses in addresses_by_provider.items()
        if addresses and has_client[provider]
    }


async def _try_providers(
    context: DeliveryContext, job: DeliveryJob, agent: Agent, addresses: Mapping[Provider, list[str]]
) -> None:
    """Try the providers from the current one on, until one accepts, a retry is due or none is left."""
    remaining = list(addresses)
    if job.provider in agent.providers:
        tried = agent.providers[: agent.providers.index(job.provider)] if job.provider else ()
        remaining = [provider for provider in remaining if provider not in tried]
    if job.is_accepted and job.provider not in remaining:
        return await _finish(context, job, delivery_state.finish(job, _get_final_reason(job)))
    for provider in remaining:
        job = delivery_state.start_provider(job, provider, context.clock())
        job, next_round_at, has_pending = await _run_round(context, job, agent, addresses[provider])
        next_step = delivery_state.decide_next_step(
            job,
            context.retry_policy,
            has_pending=has_pending,
            has_fallback=provider is not remaining[-1],
            next_round_at=next_round_at,
            now=context.clock(),
        )
        match next_step:
            case NextStep.RETRY:
                return await _reschedule(context, job, min(next_round_at, job.expires_at))
            case NextStep.FINISH:
                return await _finish(context, job, delivery_state.finish(job, _get_final_reason(job)))
            case NextStep.FALL_BACK:
                continue
    return await _finish(context, job, delivery_state.finish(job, _get_final_reason(job)))


async def _run_round(
    context: DeliveryContext, job: DeliveryJob, agent: Agent, addresses: list[str]
) -> tuple[DeliveryJob, datetime, bool]:
    """Send to every address without a final response, unless the provider's circuit breaker is open.

    Returns the job, the time of the next round, and whether an address has no final response.
    """
    pending = [address for address in addresses if address not in job.final_addresses]
    provider = job.provider
    if provider is None or not pending:
        return job, context.clock(), False
    breaker = context.providers.get_breaker(agent, provider)
    if delay := breaker.reserve_permission():
        return job, context.clock() + delay, True
    responses = await asyncio.gather(*(_send(context, job, agent, provider, address) for address in pending))
    for address, response in zip(pending, responses, strict=True):
        breaker.record(response)
        if response.is_unregistered:
            await context.users.delete_device(job.notification.user_id, address)
    now = context.clock()
    job = delivery_state.apply_responses(job, list(zip(pending, responses, strict=True)), now)
    retry_after = max((response.retry_after for response in responses if response.retry_after), default=None)
    delay = delivery_state.compute_retry_delay(job.rounds, context.retry_policy, retry_after, backoff.draw_jitter())
    return job, now + delay, any(address not in job.final_addresses for address in pending)


async def _send(
    context: DeliveryContext, job: DeliveryJob, agent: Agent, provider: Provider, address: str
) -> ProviderResponse:
    notification = job.notification
    if provider is not Provider.EMAIL:
        push_client = await context.providers.get_push_client(agent, provider)
        if push_client is None:
            raise LookupError(provider)
        return await push_client.push(address, _build_push(job, agent))
    if job.mail is not None:
        return await context.providers.mail_client.send(job.mail)
    user = await context.users.get_user(notification.user_id)
    values = {"title": notification.title, "body": notification.body}
    locale = user.locale if user else None
    mail = enqueue.render_mail(context.fallback_mail_templates, notification.id, address, locale, values)
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


def _get_final_reason(job: DeliveryJob) -> str:
    return job.notification.attempts[-1].outcome if job.notification.attempts else "NO_DEVICE"


async def _reschedule(context: DeliveryContext, job: DeliveryJob, due_at: datetime) -> None:
    try:
        await context.history.upsert(job.notification)
    except ApiError as error:
        log.warning("history of %s not updated: %s; the next delivery step will update it", job.id, error)
    await context.queue.reschedule(job, due_at)


async def _finish(context: DeliveryContext, job: DeliveryJob, notification: Notification) -> None:
    """Store the final state in the history, then complete the job and publish its result event.

    While the history is unavailable, the job stays queued with the final state.
    """
    try:
        await context.history.upsert(notification)
    except ApiError as error:
        log.warning("history of %s not updated: %s; job rescheduled", job.id, error)
        await context.queue.reschedule(replace(job, notification=notification), context.clock() + HISTORY_RETRY_DELAY)
        return
    if not await context.queue.complete(job, _build_result_event(notification, context.clock())):
        user = await context.users.get_user(notification.user_id)
        if user is not None and user.is_deleted:
            await context.history.delete_for_user(notification.user_id)


def _build_result_event(notification: Notification, at: datetime) -> NotificationsEvent:
    if notification.status is Status.SENT:
        return NotificationSent(notification_id=notification.id, user_id=notification.user_id, at=at)
    reason = notification.reason or notification.status.upper()
    return NotificationFailed(notification_id=notification.id, user_id=notification.user_id, reason=reason, at=at)
