"""The rules of notifications: what is said in which language, and what an attempt at a provider means."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

DEFAULT_LOCALE = "en"


class Status(StrEnum):
    """Where a notification stands."""

    QUEUED = "queued"
    SENT = "sent"
    FAILED = "failed"
    EXPIRED = "expired"


class Provider(StrEnum):
    """Who carries notifications."""

    FCM = "fcm"
    APNS = "apns"
    EMAIL = "email"


class Verdict(StrEnum):
    """What an answer of a provider means."""

    ACCEPTED = "accepted"
    REFUSED = "refused"  # definitely; another provider may try
    UNCLEAR = "unclear"  # it may have arrived; only the same provider may be asked again


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at one provider; `outcome` is "accepted", or the provider's own word for why not."""

    provider: Provider
    at: datetime
    outcome: str


@dataclass(frozen=True, slots=True)
class Notification:
    """Something a user is told. `id` is the same at every provider, so that a phone shows it once."""

    id: str
    user_id: str
    event: str
    order_id: str | None
    agent_id: str
    title: str
    body: str
    status: Status
    attempts: tuple[Attempt, ...]
    created_at: datetime
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Agent:
    """A sender: how urgent it is (10 most), by whom it sends, in order, and for how long its messages are worth it."""

    id: str
    name: str
    priority: int
    providers: Sequence[str]
    ttl_s: int
    enabled: bool


@dataclass(frozen=True, slots=True)
class User:
    """Where a user is reached, as of `version` of the profile."""

    user_id: str
    email: str
    notif_token: str | None
    locale: str | None
    time_zone: str | None
    version: int


@dataclass(frozen=True, slots=True)
class Text:
    """What is said; both may hold names in braces."""

    title: str
    body: str


def localized[T](by_locale: Mapping[str, T], locale: str | None) -> T:
    """What is nearest to the locale: itself, its language, English."""
    wanted = locale or DEFAULT_LOCALE
    for tag in (wanted, wanted.split("-")[0].lower()):
        if tag in by_locale:
            return by_locale[tag]
    return by_locale[DEFAULT_LOCALE]


def after(notification: Notification, attempt: Attempt, verdict: Verdict, last: bool) -> Notification:
    """The notification after an attempt; `last` says that nobody else can be asked."""
    tried = replace(notification, attempts=(*notification.attempts, attempt))
    if verdict is Verdict.ACCEPTED:
        return replace(tried, status=Status.SENT, sent_at=attempt.at)
    if verdict is Verdict.REFUSED and last:
        return replace(tried, status=Status.FAILED)
    return tried


def expired(notification: Notification, agent: Agent, now: datetime) -> bool:
    """Whether it is worth nothing any more."""
    return now - notification.created_at > timedelta(seconds=agent.ttl_s)
