"""One step of a notification's way: who is asked now, what the answer means, and what is kept of it."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from generated.events import NotificationsEvent
from generated.proto.delivery.events.v1 import NotificationFailed, NotificationSent
from services.notifications.domain import delivery_state
from services.notifications.domain.agents import MIN_URGENT_PRIORITY, Agent, find_quiet_hours_end
from services.notifications.domain.delivery_state import DeliveryJob, NextStep, RetryPolicy
from services.notifications.domain.notifications import (
    Notification,
    Outcome,
    Provider,
    ProviderResponse,
    Push,
    Status,
    User,
)
from services.notifications.usecases import enqueue
from services.notifications.usecases.ports import (
    AgentReader,
    HistoryRepository,
    JobQueue,
    MailTemplate,
    ProviderRegistry,
    UserRepository,
)
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError
from services.runtime.telemetry import tracing

log = logging.getLogger(__name__)

PEER_SERVICE_NAMES = {Provider.FCM: "fcm", Provider.APNS: "apns", Provider.EMAIL: "smtp"}
"""What spans call them."""

HISTORY_RETRY_DELAY = timedelta(seconds=5)
"""Until what was delivered is written down, when the history is away."""


@dataclass(frozen=True)
class DeliveryContext:
    """What a step works with. `letter` is the mail that a notification becomes where nothing else reaches the user."""

    users: UserRepository
    agents: AgentReader
    providers: ProviderRegistry
    queue: JobQueue
    history: HistoryRepository
    fallback_mail_templates: Mapping[str, MailTemplate]
    retry_policy: RetryPolicy
    clock: Clock


async def deliver(context: DeliveryContext, job: DeliveryJob) -> None:
    """Takes one claimed job a step further. The claim is given back, or the job is over."""
    notification, now = job.notification, context.clock()
    if notification.status is not Status.QUEUED:
        return await _finish(context, job, notification)
    if now >= job.expires_at:
        return await _finish(context, job, delivery_state.expire(job))
    agent, user = (
        await context.agents.get_agent(notification.agent_id),
        await context.users.get_user(notification.user_id),
    )
    if (why := _find_rejection_reason(job, agent, user)) is not None or agent is None:
        return await _finish(context, job, delivery_state.finish(job, why or "AGENT_UNKNOWN"))
    if job.mail is None and user and (until := find_quiet_hours_end(agent.quiet_hours, user.time_zone, now)):
        return await _reschedule(context, job, min(until, job.expires_at))
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
    """Where each of the agent's providers reaches the user, in order; those that reach nobody are left out."""
    if job.mail is not None:
        return {Provider.EMAIL: [job.mail.to]}
    known: dict[Provider, list[str]] = {provider: [] for provider in agent.providers}
    for device in await context.users.list_devices(job.notification.user_id):
        if device.provider in known:
            known[device.provider].append(device.token)
    if Provider.EMAIL in known and user is not None:
        known[Provider.EMAIL] = [user.email]
    pushed = {p: p is Provider.EMAIL or await context.providers.get_push_client(agent, p) is not None for p in known}
    return {provider: addresses for provider, addresses in known.items() if addresses and pushed[provider]}


async def _try_providers(
    context: DeliveryContext, job: DeliveryJob, agent: Agent, addresses: Mapping[Provider, list[str]]
) -> None:
    """Asks providers from the current one on, until one accepts, one is to be asked again, or none is left."""
    order = list(addresses)
    if job.provider in agent.providers:
        asked = agent.providers[: agent.providers.index(job.provider)] if job.provider else ()
        order = [provider for provider in order if provider not in asked]
    if job.is_accepted and job.provider not in order:
        return await _finish(context, job, delivery_state.finish(job, _get_final_reason(job)))
    for provider in order:
        job = delivery_state.start_provider(job, provider, context.clock())
        job, due, pending = await _run_round(context, job, agent, addresses[provider])
        others = provider is not order[-1]
        match delivery_state.decide_next_step(
            job, context.retry_policy, has_pending=pending, has_fallback=others, next_round_at=due, now=context.clock()
        ):
            case NextStep.RETRY:
                return await _reschedule(context, job, min(due, job.expires_at))
            case NextStep.FINISH:
                return await _finish(context, job, delivery_state.finish(job, _get_final_reason(job)))
            case NextStep.FALL_BACK:
                continue
    return await _finish(context, job, delivery_state.finish(job, _get_final_reason(job)))


async def _run_round(
    context: DeliveryContext, job: DeliveryJob, agent: Agent, addresses: list[str]
) -> tuple[DeliveryJob, datetime, bool]:
    """Asks the provider for every address that has not answered for good, unless its gate is shut.

    Returns the job, when the next round would be, and whether one is needed.
    """
    left = [address for address in addresses if address not in job.final_addresses]
    provider = job.provider
    if provider is None or not left:
        return job, context.clock(), False
    gate = context.providers.get_breaker(agent, provider)
    if (wait := gate.reserve_permission()) > 0:
        return job, context.clock() + timedelta(seconds=wait), True
    answers = await asyncio.gather(*(_send(context, job, agent, provider, address) for address in left))
    for address, answer in zip(left, answers, strict=True):
        gate.record(answer)
        if answer.is_unregistered:
            await context.users.delete_device(job.notification.user_id, address)
    now = context.clock()
    job = delivery_state.apply_responses(job, list(zip(left, answers, strict=True)), now)
    asked = max((answer.retry_after for answer in answers if answer.retry_after), default=None)
    seconds = delivery_state.compute_retry_delay(job.rounds, context.retry_policy, asked, random.random())  # noqa: S311
    return job, now + timedelta(seconds=seconds), any(address not in job.final_addresses for address in left)


async def _send(
    context: DeliveryContext, job: DeliveryJob, agent: Agent, provider: Provider, address: str
) -> ProviderResponse:
    notification = job.notification
    if provider is not Provider.EMAIL:
        pusher = await context.providers.get_push_client(agent, provider)
        if pusher is None:
            raise LookupError(provider)
        return await _send_traced(provider, pusher.push(address, _build_push(job, agent)))
    if job.mail is not None:
        return await _send_traced(provider, context.providers.mail_client.send(job.mail))
    user = await context.users.get_user(notification.user_id)
    values = {"title": notification.title, "body": notification.body}
    locale = user.locale if user else None
    letter = enqueue.render_mail(context.fallback_mail_templates, notification.id, address, locale, values)
    return await _send_traced(provider, context.providers.mail_client.send(letter))


async def _send_traced(provider: Provider, pending_response: Awaitable[ProviderResponse]) -> ProviderResponse:
    """The answer, within a span that says what it was; to whom it went stays out of it."""
    with tracing.start_peer_span(PEER_SERVICE_NAMES[provider], "send") as span:
        answer = await pending_response
        span.set_attribute("delivery.outcome", answer.code)
        if answer.outcome is not Outcome.ACCEPTED:
            tracing.record_error(span, answer.code)
        return answer


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
    except ApiError as refusal:
        log.warning("the history of %s waits: %s", job.id, refusal)
    await context.queue.reschedule(job, due_at)


async def _finish(context: DeliveryContext, job: DeliveryJob, notification: Notification) -> None:
    """Writes down what came of it, then lets the event leave. The queue keeps it while the history is away."""
    try:
        await context.history.upsert(notification)
    except ApiError as refusal:
        log.warning("the history of %s waits: %s", job.id, refusal)
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
