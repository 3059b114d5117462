"""What people are told, where they are reached, and what a provider's answer means."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

DEFAULT_LOCALE = "en"

ID_PATTERN = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What a notification's id may look like, so that every provider takes it: Apple allows 64 bytes."""

_APNS_TOKEN_PATTERN = re.compile(r"(?:[0-9a-fA-F]{2}){32,100}")


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


class Outcome(StrEnum):
    """What an answer of a provider means."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"  # definitely, and for good
    BUSY = "busy"  # definitely not taken, but it may be later
    UNCLEAR = "unclear"  # it may have arrived; only the same provider may be asked again


@dataclass(frozen=True, slots=True)
class ProviderResponse:
    """A provider's answer. `word` is its own; `retry_after` is in seconds; `gone` says that nobody is there."""

    outcome: Outcome
    code: str
    retry_after: float | None = None
    is_unregistered: bool = False


ACCEPTED_RESPONSE = ProviderResponse(Outcome.ACCEPTED, "accepted")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at one provider; `outcome` is "accepted", or the provider's own word for why not."""

    provider: Provider
    at: datetime
    outcome: str


@dataclass(frozen=True, slots=True)
class Notification:
    """Something a user is told. `id` is the same at every provider, so that a person sees it once."""

    id: str
    user_id: str
    event: str
    order_id: str | None
    agent_id: str
    title: str
    body: str
    status: Status
    created_at: datetime
    attempts: tuple[Attempt, ...] = ()
    sent_at: datetime | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail as it leaves. `id` becomes its Message-ID, so that a repeat is known as one."""

    id: str
    to: str
    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class Push:
    """A notification as a provider of pushes carries it. An absent phone keeps the last of a `collapse`."""

    id: str
    title: str
    body: str
    data: Mapping[str, str]
    expires_at: datetime
    is_urgent: bool
    collapse_key: str | None = None


@dataclass(frozen=True, slots=True)
class User:
    """A user as of `version` of the profile."""

    user_id: str
    email: str
    locale: str | None
    time_zone: str | None
    version: int

    @property
    def is_deleted(self) -> bool:
        """Whether the account is deleted, and only its mark left."""
        return not self.email


@dataclass(frozen=True, slots=True)
class Device:
    """Where pushes reach a user."""

    provider: Provider
    token: str


@dataclass(frozen=True, slots=True)
class NotificationTemplate:
    """What is said; both may hold names in braces."""

    title: str
    body: str


def detect_provider(token: str) -> Provider:
    """Apple's tokens are bytes in hexadecimal, 32 or more; Firebase's hold other characters too."""
    return Provider.APNS if _APNS_TOKEN_PATTERN.fullmatch(token) else Provider.FCM


def select_localised[T](by_locale: Mapping[str, T], locale: str | None) -> T:
    """What is nearest to the locale: itself, its language, English."""
    wanted = locale or DEFAULT_LOCALE
    for tag in (wanted, wanted.split("-")[0].lower()):
        if tag in by_locale:
            return by_locale[tag]
    return by_locale[DEFAULT_LOCALE]
