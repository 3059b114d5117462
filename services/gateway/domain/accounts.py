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
from services.runtime.core.errors import ApiError
from services.runtime.rest.types import unset_to_none

MAX_VALID_CODES = 5
"""How many codes for one purpose are good at a time; who asks for more gets no mail."""


TIME_ZONES = frozenset(available_timezones())


class AccountState(StrEnum):
    """Where an account stands. What is half made or half gone is finished by a sweep."""

    CREATING = "creating"
    ACTIVE = "active"
    DELETING = "deleting"


class CodePurpose(StrEnum):
    """What a mailed code is for."""

    EMAIL_VERIFICATION = "confirm"
    EMAIL_CHANGE = "email"
    PASSWORD_RESET = "password"  # noqa: S105 (a name, no password)


CODE_TTL = {
    CodePurpose.EMAIL_VERIFICATION: timedelta(days=1),
    CodePurpose.EMAIL_CHANGE: timedelta(days=1),
    CodePurpose.PASSWORD_RESET: timedelta(hours=1),
}
"""How long a mailed code is good for."""

MAIL_TEMPLATES = {
    CodePurpose.EMAIL_VERIFICATION: "verification",
    CodePurpose.EMAIL_CHANGE: "email_change",
    CodePurpose.PASSWORD_RESET: "password_reset",
}
"""The mail that brings a code."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user's profile. `version` grows by one with every change; `role` mirrors the identity provider's claim."""

    id: str
    state: AccountState
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
        object.__setattr__(self, "state", AccountState(self.state))

    @property
    def etag(self) -> str:
        """Names this state of the profile."""
        return f'"{self.version}"'

    def next_version(self, **changes: object) -> "Account":
        """The next version."""
        return replace(self, version=self.version + 1, **changes)  # type: ignore[arg-type]

    def anonymised(self) -> "Account":
        """What stays of an account that is going: its id, and what is still to be removed elsewhere."""
        return self.next_version(
            state=AccountState.DELETING,
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
class VerificationCode:
    """What is kept of a mailed code: enough to know it again, not enough to use it."""

    digest: bytes = field(repr=False)
    purpose: CodePurpose
    user_id: str
    new_email: str | None
    expires_at: datetime

    def __post_init__(self) -> None:
        """Rows bring the purpose as text."""
        object.__setattr__(self, "purpose", CodePurpose(self.purpose))


@dataclass(frozen=True, slots=True)
class ProfileChanges:
    """A merge patch of a profile, checked."""

    changes: dict[str, object]

    @classmethod
    def from_merge_patch(cls, body: ProfilePatch) -> "ProfileChanges":
        """What is absent stays, null removes. Refuses TIME_ZONE_UNKNOWN."""
        given = {name: getattr(body, name) for name in body.__struct_fields__}
        zone = unset_to_none(body.time_zone)
        validate_time_zone(zone)
        absent = ProfilePatch()
        return cls({name: value for name, value in given.items() if value is not getattr(absent, name)})


def validate_time_zone(time_zone: str | None) -> None:
    """Refuses TIME_ZONE_UNKNOWN for one that IANA does not know."""
    if time_zone is not None and time_zone not in TIME_ZONES:
        raise ApiError(Reason.TIME_ZONE_UNKNOWN)


def generate_code(
    purpose: CodePurpose, user_id: str, now: datetime, new_email: str | None = None
) -> tuple[str, VerificationCode]:
    """128 random bits to be mailed, and what is kept of them."""
    plain = secrets.token_urlsafe(16)
    return plain, VerificationCode(hash_secret(plain), purpose, user_id, new_email, now + CODE_TTL[purpose])


def hash_secret(secret: str) -> bytes:
    """SHA-256; the code is random, so it needs no salt and no slowness."""
    return hashlib.sha256(secret.encode()).digest()


def normalise_email(email: str) -> str:
    """The form in which addresses are compared, as the identity provider does."""
    return email.lower()


def build_user_registered_event(account: Account) -> UserRegistered:
    """The event of a new account."""
    return UserRegistered(
        user_id=account.id,
        notif_token=account.notif_token,
        locale=account.locale,
        time_zone=account.time_zone,
        email=account.email,
        version=account.version,
    )


def build_user_updated_event(account: Account) -> UserUpdated:
    """The event of a changed one."""
    return UserUpdated(
        user_id=account.id,
        notif_token=account.notif_token,
        locale=account.locale,
        time_zone=account.time_zone,
        email=account.email,
        version=account.version,
    )


def build_user_deleted_event(account: Account, now: datetime) -> UserDeleted:
    """The event of one that is gone."""
    return UserDeleted(user_id=account.id, version=account.version, at=now)
