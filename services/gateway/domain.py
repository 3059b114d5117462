"""The rules of accounts."""

import hashlib
import secrets
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from zoneinfo import available_timezones

from generated.problems import Reason
from generated.proto.delivery.events.v1 import UserDeleted, UserRegistered, UserUpdated
from generated.rest.delivery.models import ProfilePatch
from services.runtime.refusal import Refusal
from services.runtime.rest.types import none_if_unset

MAX_CODES = 5
"""How many codes for one purpose are good at a time; who asks for more gets no mail."""


ZONES = frozenset(available_timezones())


class State(StrEnum):
    """Where an account stands. What is half made or half gone is finished by a sweep."""

    MAKING = "making"
    ACTIVE = "active"
    LEAVING = "leaving"


class Purpose(StrEnum):
    """What a mailed code is for."""

    CONFIRM = "confirm"
    EMAIL = "email"
    PASSWORD = "password"  # noqa: S105 (a name, no password)


CODE_LIFE = {
    Purpose.CONFIRM: timedelta(days=1),
    Purpose.EMAIL: timedelta(days=1),
    Purpose.PASSWORD: timedelta(hours=1),
}
"""How long a mailed code is good for."""

TEMPLATE = {
    Purpose.CONFIRM: "verification",
    Purpose.EMAIL: "email_change",
    Purpose.PASSWORD: "password_reset",
}
"""The mail that brings a code."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user's profile. `version` grows by one with every change; `role` mirrors the identity provider's claim."""

    id: str
    state: State
    email: str
    email_verified: bool
    first_name: str
    last_name: str
    phone: str | None
    birth_date: date | None
    locale: str | None
    time_zone: str | None
    notif_token: str | None
    role: str | None
    avatar: str | None
    version: int
    created_at: datetime

    def __post_init__(self) -> None:
        """Rows bring the state as text."""
        object.__setattr__(self, "state", State(self.state))

    @property
    def etag(self) -> str:
        """Names this state of the profile."""
        return f'"{self.version}"'

    def changed(self, **changes: object) -> "Account":
        """The next version."""
        return replace(self, version=self.version + 1, **changes)  # type: ignore[arg-type]

    def left(self) -> "Account":
        """What stays of an account that is going: its id, and what is still to be removed elsewhere."""
        return self.changed(
            state=State.LEAVING,
            email="",
            email_verified=False,
            first_name="",
            last_name="",
            phone=None,
            birth_date=None,
            locale=None,
            time_zone=None,
            notif_token=None,
            role=None,
        )


@dataclass(frozen=True, slots=True)
class Code:
    """What is kept of a mailed code: enough to know it again, not enough to use it."""

    digest: bytes = field(repr=False)
    purpose: Purpose
    user_id: str
    new_email: str | None
    expires_at: datetime

    def __post_init__(self) -> None:
        """Rows bring the purpose as text."""
        object.__setattr__(self, "purpose", Purpose(self.purpose))


@dataclass(frozen=True, slots=True)
class Patch:
    """A merge patch of a profile, checked."""

    changes: dict[str, object]

    @classmethod
    def of(cls, body: ProfilePatch) -> "Patch":
        """What is absent stays, null removes. Refuses TIME_ZONE_UNKNOWN."""
        given = {name: getattr(body, name) for name in body.__struct_fields__}
        zone = none_if_unset(body.time_zone)
        check_time_zone(zone)
        absent = ProfilePatch()
        return cls({name: value for name, value in given.items() if value is not getattr(absent, name)})


def check_time_zone(zone: str | None) -> None:
    """Refuses TIME_ZONE_UNKNOWN for one that IANA does not know."""
    if zone is not None and zone not in ZONES:
        raise Refusal(Reason.TIME_ZONE_UNKNOWN)


def new_code(purpose: Purpose, user_id: str, now: datetime, new_email: str | None = None) -> tuple[str, Code]:
    """128 random bits to be mailed, and what is kept of them."""
    plain = secrets.token_urlsafe(16)
    return plain, Code(digest(plain), purpose, user_id, new_email, now + CODE_LIFE[purpose])


def digest(code: str) -> bytes:
    """SHA-256; the code is random, so it needs no salt and no slowness."""
    return hashlib.sha256(code.encode()).digest()


def normal(email: str) -> str:
    """The form in which addresses are compared, as the identity provider does."""
    return email.lower()


def registered(account: Account) -> UserRegistered:
    """The event of a new account."""
    return UserRegistered(
        user_id=account.id,
        notif_token=account.notif_token,
        locale=account.locale,
        time_zone=account.time_zone,
        email=account.email,
        version=account.version,
    )


def updated(account: Account) -> UserUpdated:
    """The event of a changed one."""
    return UserUpdated(
        user_id=account.id,
        notif_token=account.notif_token,
        locale=account.locale,
        time_zone=account.time_zone,
        email=account.email,
        version=account.version,
    )


def deleted(account: Account, now: datetime) -> UserDeleted:
    """The event of one that is gone."""
    return UserDeleted(user_id=account.id, version=account.version, at=now)
