"""Notifications, mails, users, devices and provider responses."""

import hashlib
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

DEFAULT_LOCALE = "en"

MAX_DEVICES = 10
"""Maximum number of registered devices of a user."""

ID_PATTERN = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""Notification ids that every provider accepts; APNs allows 64 bytes."""

_APNS_TOKEN_PATTERN = re.compile(r"(?:[0-9a-fA-F]{2}){32,100}")


class Status(StrEnum):
    """Delivery status of a notification."""

    QUEUED = "queued"
    SENT = "sent"
    FAILED = "failed"
    EXPIRED = "expired"


RETAINED_STATUSES: Mapping[Status, tuple[Status, ...]] = {
    Status.QUEUED: (Status.SENT, Status.FAILED, Status.EXPIRED),
    Status.SENT: (),
    Status.FAILED: (Status.SENT,),
    Status.EXPIRED: (Status.SENT,),
}
"""Statuses in the history that the key does not replace, since a worker may write after its lease has expired."""


class Provider(StrEnum):
    """Push or mail provider."""

    FCM = "fcm"
    APNS = "apns"
    EMAIL = "email"


class Outcome(StrEnum):
    """Classification of a provider response."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"  # not delivered; permanent
    BUSY = "busy"  # not delivered; temporary
    UNCLEAR = "unclear"  # possibly delivered; only the same provider may be retried


FINAL_OUTCOMES = (Outcome.ACCEPTED, Outcome.REJECTED)
"""Outcomes after which the message is not sent to the address again."""


@dataclass(frozen=True, slots=True)
class ProviderResponse:
    """Response of a provider to one send.

    `code` is the provider's own code, and `is_unregistered` reports that the device no longer exists.
    """

    outcome: Outcome
    code: str
    retry_after: timedelta | None = None
    is_unregistered: bool = False


ACCEPTED_RESPONSE = ProviderResponse(Outcome.ACCEPTED, "accepted")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One delivery attempt at one provider; `outcome` is "accepted" or the provider's own error code."""

    provider: Provider
    at: datetime
    outcome: str


@dataclass(frozen=True, slots=True)
class Notification:
    """Notification to a user. `id` is the same at every provider, so that devices can deduplicate it."""

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
    """Rendered mail. `id` becomes its Message-ID, so that duplicates can be detected."""

    id: str
    to: str
    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class Push:
    """Push message. An offline device receives only the latest of those with the same `collapse_key`."""

    id: str
    title: str
    body: str
    data: Mapping[str, str]
    expires_at: datetime
    is_urgent: bool
    collapse_key: str | None = None


@dataclass(frozen=True, slots=True)
class User:
    """Contact data of a user as of `version` of the profile."""

    user_id: str
    email: str
    locale: str | None
    time_zone: str | None
    version: int

    @property
    def is_deleted(self) -> bool:
        """Return whether the account is deleted and only its tombstone remains."""
        return not self.email


@dataclass(frozen=True, slots=True)
class Device:
    """Registered device of a user."""

    provider: Provider
    token: str


class Contact(NamedTuple):
    """A user, None if unknown, and the user's devices, newest first."""

    user: User | None
    devices: Sequence[Device]


@dataclass(frozen=True, slots=True)
class NotificationTemplate:
    """Notification text in one language; both fields may contain placeholders in braces."""

    title: str
    body: str


@dataclass(frozen=True, slots=True)
class RegisteredDevice:
    """Device that its user has registered. The id derives from the token, which is not shown."""

    id: str
    user_id: str
    token: str = field(repr=False)
    provider: Provider
    name: str | None
    registered_at: datetime


def compute_device_id(token: str) -> str:
    """Return the id of the device with a token."""
    return urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).decode().rstrip("=")


def detect_provider(token: str) -> Provider:
    """Return the push provider of a device token.

    APNs tokens are 32 or more bytes in hexadecimal; FCM tokens contain other characters too.
    """
    return Provider.APNS if _APNS_TOKEN_PATTERN.fullmatch(token) else Provider.FCM


def select_localised[T](by_locale: Mapping[str, T], locale: str | None) -> T:
    """Return the entry of the locale, else that of its language, else the English one."""
    requested_locale = locale or DEFAULT_LOCALE
    for tag in (requested_locale, requested_locale.split("-")[0].lower()):
        if tag in by_locale:
            return by_locale[tag]
    return by_locale[DEFAULT_LOCALE]


@dataclass(frozen=True, slots=True)
class NotificationRule:
    """Agent, recipient and templates of the notification for one event type.

    `recipient_path` and `order_id_path` are attribute paths into the event; `templates` is by locale.
    """

    agent_id: str
    recipient_path: str
    order_id_path: str | None
    templates: Mapping[str, NotificationTemplate]


@dataclass(frozen=True, slots=True)
class MailTemplate:
    """Mail in one language; all fields may contain placeholders in braces."""

    subject: str
    text: str
    html: str


class HistoryFilter(NamedTuple):
    """Filter for a list of notifications; None matches every value."""

    user_id: str | None = None
    agent_id: str | None = None
    status: Status | None = None
    order_id: str | None = None
