"""Accounts, verification codes and their events."""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, TypedDict

from generated.proto.delivery.events.v1 import EmailRequested, UserDeleted, UserRegistered, UserUpdated
from services.runtime.core.ids import generate_id

MAX_VALID_CODES = 5
"""Maximum number of unexpired codes per account and purpose; further requests send no mail."""

MAX_CODE_REQUEST_ATTEMPTS = 8
"""Maximum number of attempts at sending a requested code."""


class AccountState(StrEnum):
    """State of an account. A background job completes accounts whose creation or deletion was interrupted."""

    CREATING = "creating"
    ACTIVE = "active"
    DELETING = "deleting"


class CodePurpose(StrEnum):
    """Purpose of a verification code."""

    EMAIL_VERIFICATION = "confirm"
    EMAIL_CHANGE = "email"
    PASSWORD_RESET = "password"  # noqa: S105 (not a password)


TAKEOVER_PURPOSES = (CodePurpose.EMAIL_CHANGE, CodePurpose.PASSWORD_RESET)
"""Purposes of the codes with which another person could take over the account."""

CODE_TTL = {
    CodePurpose.EMAIL_VERIFICATION: timedelta(days=1),
    CodePurpose.EMAIL_CHANGE: timedelta(days=1),
    CodePurpose.PASSWORD_RESET: timedelta(hours=1),
}
"""Lifetime of a verification code."""

MAIL_TEMPLATES = {
    CodePurpose.EMAIL_VERIFICATION: "verification",
    CodePurpose.EMAIL_CHANGE: "email_change",
    CodePurpose.PASSWORD_RESET: "password_reset",
}
"""Mail template by purpose of the code."""


@dataclass(frozen=True, slots=True)
class Registration:
    """Data of a sign-up. `role` is None if an admin has to assign it first."""

    email: str
    password: str = field(repr=False)
    first_name: str
    last_name: str
    role: str | None
    phone: str | None = None
    birth_date: date | None = None
    locale: str | None = None
    time_zone: str | None = None
    notif_token: str | None = None


class ProfileChanges(TypedDict, total=False):
    """New values of a profile; absent fields stay unchanged."""

    first_name: str
    last_name: str
    phone: str | None
    birth_date: date | None
    locale: str | None
    time_zone: str | None
    notif_token: str | None


@dataclass(frozen=True, slots=True)
class Account:
    """A user's profile. Every change increments `version`; `role` and `disabled` mirror the identity provider's state.

    `notif_token_at` is the time at which the user registered the device token `notif_token`.
    """

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
    notif_token_at: datetime | None = None
    disabled: bool = False

    def __post_init__(self) -> None:
        """Convert the state, which rows contain as text."""
        object.__setattr__(self, "state", AccountState(self.state))

    def with_changes(self, **changes: object) -> "Account":
        """Return a copy with these changes and the next version number."""
        return replace(self, version=self.version + 1, **changes)  # type: ignore[arg-type]

    def with_profile_changes(self, changes: ProfileChanges, now: datetime) -> "Account":
        """Return a copy with these changes. A token in them registers the device, also if the token is unchanged."""
        account = self.with_changes(**changes)
        if "notif_token" not in changes:
            return account
        return replace(account, notif_token_at=None if changes["notif_token"] is None else now)

    def anonymise(self) -> "Account":
        """Return the account being deleted: without personal data, with its id and the avatar still to be deleted."""
        return self.with_changes(
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
            notif_token_at=None,
            role=None,
        )


class AccountFilter(NamedTuple):
    """Filter of a list of accounts; None does not restrict. `prefix` applies to e-mail address and names."""

    role: str | None = None
    approved: bool | None = None
    disabled: bool | None = None
    prefix: str | None = None


@dataclass(frozen=True, slots=True)
class VerificationCode:
    """Stored form of a mailed code: its digest, from which the code cannot be recovered."""

    digest: bytes = field(repr=False)
    purpose: CodePurpose
    user_id: str
    new_email: str | None
    expires_at: datetime

    def __post_init__(self) -> None:
        """Convert the purpose, which rows contain as text."""
        object.__setattr__(self, "purpose", CodePurpose(self.purpose))

    def is_valid(self, now: datetime) -> bool:
        """Return whether the code has not expired."""
        return now < self.expires_at

    def apply(self, account: Account) -> Account:
        """Return the account after the use of the code: its address, or the new one, is verified."""
        return account.with_changes(email=self.new_email or account.email, email_verified=True)


class CodeRequest(NamedTuple):
    """Request for a verification code, for the account with an address or to change an account's address to it."""

    id: int
    purpose: CodePurpose
    email: str
    user_id: str | None
    attempts: int
    """Number of attempts at sending the code, including the current one."""
    trace_context: Mapping[str, str]
    """Trace context headers of the request."""


@dataclass(frozen=True, slots=True)
class SessionTokens:
    """Tokens of a session. `expires_in` is the lifetime of the access token in seconds from `issued_at`."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int
    user_id: str
    issued_at: datetime


def generate_code(
    purpose: CodePurpose, user_id: str, now: datetime, new_email: str | None = None
) -> tuple[str, VerificationCode]:
    """Generate a random 128-bit code. Returns the plain code to be mailed, and its stored form."""
    plain_code = secrets.token_urlsafe(16)
    return plain_code, VerificationCode(hash_secret(plain_code), purpose, user_id, new_email, now + CODE_TTL[purpose])


def hash_secret(secret: str) -> bytes:
    """Return the SHA-256 digest. The secret is random, so neither a salt nor a slow hash is needed."""
    return hashlib.sha256(secret.encode()).digest()


def normalise_email(email: str) -> str:
    """Return the lower-case address, the form that the identity provider compares."""
    return email.lower()


def build_user_registered_event(account: Account) -> UserRegistered:
    """Build the event of a new account."""
    return UserRegistered(
        user_id=account.id,
        notif_token=account.notif_token,
        locale=account.locale,
        time_zone=account.time_zone,
        email=account.email,
        version=account.version,
        notif_token_at=account.notif_token_at,
    )


def build_user_updated_event(account: Account) -> UserUpdated:
    """Build the event of a changed account."""
    return UserUpdated(
        user_id=account.id,
        notif_token=account.notif_token,
        locale=account.locale,
        time_zone=account.time_zone,
        email=account.email,
        version=account.version,
        notif_token_at=account.notif_token_at,
    )


def build_code_used_events(
    code: VerificationCode, before: Account, after: Account
) -> list[UserUpdated | EmailRequested]:
    """Build the events of a used code: the changed account, and a mail about a changed address or password."""
    events: list[UserUpdated | EmailRequested] = [build_user_updated_event(after)]
    if code.purpose is CodePurpose.EMAIL_CHANGE:
        mail = _build_mail(before, "email_changed")
        mail.values = {"new_email": after.email}
        events.append(mail)
    elif code.purpose is CodePurpose.PASSWORD_RESET:
        events.append(build_password_changed_mail(after))
    return events


def build_password_changed_mail(account: Account) -> EmailRequested:
    """Build the mail about a changed password."""
    return _build_mail(account, "password_changed")


def build_account_deleted_mail(account: Account) -> EmailRequested:
    """Build the mail about a deletion, under a random id: the notifications of the deleted user are deleted."""
    mail = _build_mail(account, "account_deleted")
    mail.user_id = generate_id()
    return mail


def _build_mail(account: Account, template: str) -> EmailRequested:
    return EmailRequested(user_id=account.id, email=account.email, template=template, locale=account.locale)


def build_user_deleted_event(account: Account, now: datetime) -> UserDeleted:
    """Build the event of a deleted account."""
    return UserDeleted(user_id=account.id, version=account.version, at=now)
