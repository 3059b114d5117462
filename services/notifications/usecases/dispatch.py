"""One step of a notification's way: who is asked now, what the answer means, and what is kept of it."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from generated.events import NotificationsEvent
from generated.proto.delivery.events.v1 import NotificationFailed, NotificationSent
from services.notifications.domain import progress
from services.notifications.domain.agents import URGENT, Agent, quiet_until
from services.notifications.domain.notifications import Answer, Notification, Provider, Push, Status, User, Verdict
from services.notifications.domain.progress import Job, Next, Patience
from services.notifications.usecases import intake
from services.notifications.usecases.ports import Agents, Carriers, History, MailTemplate, Queue, Users
from services.runtime import tracing
from services.runtime.clock import Clock
from services.runtime.refusal import Refusal

log = logging.getLogger(__name__)

PEERS = {Provider.FCM: "fcm", Provider.APNS: "apns", Provider.EMAIL: "smtp"}
"""What spans call them."""

HISTORY_PAUSE = timedelta(seconds=5)
"""Until what was delivered is written down, when the history is away."""


@dataclass(frozen=True)
class Dispatch:
    """What a step works with. `letter` is the mail that a notification becomes where nothing else reaches the user."""

    users: Users
    agents: Agents
    carriers: Carriers
    queue: Queue
    history: History
    letter: Mapping[str, MailTemplate]
    patience: Patience
    clock: Clock


async def deliver(of: Dispatch, job: Job) -> None:
    """Takes one claimed job a step further. The claim is given back, or the job is over."""
    notification, now = job.notification, of.clock()
    if notification.status is not Status.QUEUED:
        return await _end(of, job, notification)
    if now >= job.expires_at:
        return await _end(of, job, progress.expired(job))
    agent, user = await of.agents.agent(notification.agent_id), await of.users.user(notification.user_id)
    if (why := _hindrance(job, agent, user)) is not None or agent is None:
        return await _end(of, job, progress.ended(job, why or "AGENT_UNKNOWN"))
    if job.mail is None and user and (until := quiet_until(agent.quiet_hours, user.time_zone, now)):
        return await _later(of, job, min(until, job.expires_at))
    return await _ask(of, job, agent, await _addresses(of, job, agent, user))


def _hindrance(job: Job, agent: Agent | None, user: User | None) -> str | None:
    if agent is None:
        return "AGENT_UNKNOWN"
    if not agent.enabled:
        return "AGENT_DISABLED"
    if job.mail is not None:
        return None
    if user is None:
        return "USER_UNKNOWN"
    return "USER_GONE" if user.gone else None


async def _addresses(of: Dispatch, job: Job, agent: Agent, user: User | None) -> dict[Provider, list[str]]:
    """Where each of the agent's providers reaches the user, in order; those that reach nobody are left out."""
    if job.mail is not None:
        return {Provider.EMAIL: [job.mail.to]}
    known: dict[Provider, list[str]] = {provider: [] for provider in agent.providers}
    for device in await of.users.devices(job.notification.user_id):
        if device.provider in known:
            known[device.provider].append(device.token)
    if Provider.EMAIL in known and user is not None:
        known[Provider.EMAIL] = [user.email]
    pushed = {p: p is Provider.EMAIL or await of.carriers.pusher(agent, p) is not None for p in known}
    return {provider: addresses for provider, addresses in known.items() if addresses and pushed[provider]}


async def _ask(of: Dispatch, job: Job, agent: Agent, addresses: Mapping[Provider, list[str]]) -> None:
    """Asks providers from the current one on, until one accepts, one is to be asked again, or none is left."""
    order = list(addresses)
    if job.provider in agent.providers:
        asked = agent.providers[: agent.providers.index(job.provider)] if job.provider else ()
        order = [provider for provider in order if provider not in asked]
    if job.accepted and job.provider not in order:
        return await _end(of, job, progress.ended(job, _last_word(job)))
    for provider in order:
        job = progress.asking(job, provider, of.clock())
        job, due, pending = await _round(of, job, agent, addresses[provider])
        others = provider is not order[-1]
        match progress.decide(job, of.patience, pending=pending, others=others, due=due, now=of.clock()):
            case Next.AGAIN:
                return await _later(of, job, min(due, job.expires_at))
            case Next.END:
                return await _end(of, job, progress.ended(job, _last_word(job)))
            case Next.OTHER:
                continue
    return await _end(of, job, progress.ended(job, _last_word(job)))


async def _round(of: Dispatch, job: Job, agent: Agent, addresses: list[str]) -> tuple[Job, datetime, bool]:
    """Asks the provider for every address that has not answered for good, unless its gate is shut.

    Returns the job, when the next round would be, and whether one is needed.
    """
    left = [address for address in addresses if address not in job.settled]
    provider = job.provider
    if provider is None or not left:
        return job, of.clock(), False
    gate = of.carriers.gate(agent, provider)
    if (wait := gate.wait()) > 0:
        return job, of.clock() + timedelta(seconds=wait), True
    answers = await asyncio.gather(*(_send(of, job, agent, provider, address) for address in left))
    for address, answer in zip(left, answers, strict=True):
        gate.heard(answer)
        if answer.gone:
            await of.users.drop_device(job.notification.user_id, address)
    now = of.clock()
    job = progress.after_round(job, list(zip(left, answers, strict=True)), now)
    asked = max((answer.retry_after for answer in answers if answer.retry_after), default=None)
    seconds = progress.pause(job.rounds, of.patience, asked, random.random())  # noqa: S311
    return job, now + timedelta(seconds=seconds), any(address not in job.settled for address in left)


async def _send(of: Dispatch, job: Job, agent: Agent, provider: Provider, address: str) -> Answer:
    notification = job.notification
    if provider is not Provider.EMAIL:
        pusher = await of.carriers.pusher(agent, provider)
        if pusher is None:
            raise LookupError(provider)
        return await _told_of(provider, pusher.push(address, _push(job, agent)))
    if job.mail is not None:
        return await _told_of(provider, of.carriers.mailer.send(job.mail))
    user = await of.users.user(notification.user_id)
    values = {"title": notification.title, "body": notification.body}
    locale = user.locale if user else None
    letter = intake.write(of.letter, notification.id, address, locale, values)
    return await _told_of(provider, of.carriers.mailer.send(letter))


async def _told_of(provider: Provider, sending: Awaitable[Answer]) -> Answer:
    """The answer, within a span that says what it was; to whom it went stays out of it."""
    with tracing.calling(PEERS[provider], "send") as span:
        answer = await sending
        span.set_attribute("delivery.outcome", answer.word)
        if answer.verdict is not Verdict.ACCEPTED:
            tracing.failed(span, answer.word)
        return answer


def _push(job: Job, agent: Agent) -> Push:
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
        urgent=agent.priority >= URGENT,
        collapse=notification.order_id if agent.collapse else None,
    )


def _last_word(job: Job) -> str:
    return job.notification.attempts[-1].outcome if job.notification.attempts else "NO_DEVICE"


async def _later(of: Dispatch, job: Job, due: datetime) -> None:
    try:
        await of.history.save(job.notification)
    except Refusal as refusal:
        log.warning("the history of %s waits: %s", job.id, refusal)
    await of.queue.keep(job, due)


async def _end(of: Dispatch, job: Job, notification: Notification) -> None:
    """Writes down what came of it, then lets the event leave. The queue keeps it while the history is away."""
    try:
        await of.history.save(notification)
    except Refusal as refusal:
        log.warning("the history of %s waits: %s", job.id, refusal)
        await of.queue.keep(replace(job, notification=notification), of.clock() + HISTORY_PAUSE)
        return
    if not await of.queue.finish(job, _told(notification, of.clock())):
        user = await of.users.user(notification.user_id)
        if user is not None and user.gone:
            await of.history.forget(notification.user_id)


def _told(notification: Notification, at: datetime) -> NotificationsEvent:
    if notification.status is Status.SENT:
        return NotificationSent(notification_id=notification.id, user_id=notification.user_id, at=at)
    reason = notification.reason or notification.status.upper()
    return NotificationFailed(notification_id=notification.id, user_id=notification.user_id, reason=reason, at=at)
