"""The rules of accounts."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import date, datetime, timedelta

CODE_LIFE = timedelta(days=1)
"""How long a mailed code is good for."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user's profile. `version` grows by one with every change."""

    id: str
    email: str
    email_verified: bool
    first_name: str
    last_name: str
    phone: str | None
    birth_date: date | None
    locale: str | None
    time_zone: str | None
    notif_token: str | None
    version: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Code:
    """What is kept of a mailed code: enough to know it again, not enough to use it."""

    digest: bytes
    purpose: str
    user_id: str
    expires_at: datetime


def new_code() -> str:
    """128 random bits, to be mailed."""
    return secrets.token_urlsafe(16)


def digest(code: str) -> bytes:
    """SHA-256; the code is random, so it needs no salt and no slowness."""
    return hashlib.sha256(code.encode()).digest()
