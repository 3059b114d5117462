"""Sign-in with the id token of an external identity provider (OpenID Connect)."""

import re
from base64 import urlsafe_b64decode
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import msgspec

from generated.problems import Reason
from services.gateway.domain.accounts import Account, AccountState, SessionTokens, normalise_email
from services.runtime.core.errors import ApiError

ROLE = "customer"
"""Role of accounts that a sign-in creates."""

UNKNOWN_NAME = "-"
"""Name that neither the request nor the provider contains."""

MAX_NAME_LENGTH = 100

_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f]")


class SignInProvider(StrEnum):
    """External identity provider."""

    GOOGLE = "google"
    APPLE = "apple"


@dataclass(frozen=True, slots=True)
class ProviderSignIn:
    """Request to sign in. `nonce` is the plain value whose hash the token contains; the rest is for a new account."""

    provider: SignInProvider
    id_token: str = field(repr=False)
    nonce: str | None = field(default=None, repr=False)
    first_name: str | None = None
    last_name: str | None = None
    locale: str | None = None
    time_zone: str | None = None
    notif_token: str | None = None


@dataclass(frozen=True, slots=True)
class ProviderSession:
    """Session of an identified user, with the names that the provider knows."""

    tokens: SessionTokens
    first_name: str = ""
    last_name: str = ""


class _IdTokenClaims(msgspec.Struct):
    email: str = ""
    email_verified: bool | str = False


def get_verified_email(id_token: str) -> str:
    """Return the address that the provider has verified.

    The signature is not verified, so the address is only valid together with a session for the same token.

    Raises ApiError: PROVIDER_TOKEN_INVALID, PROVIDER_EMAIL_UNVERIFIED.
    """
    try:
        payload = id_token.split(".")[1].encode()
        claims = msgspec.json.decode(urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)), type=_IdTokenClaims)
    except (IndexError, ValueError) as error:
        raise ApiError(Reason.PROVIDER_TOKEN_INVALID) from error
    # Apple sends the claim as text.
    if not claims.email or claims.email_verified not in (True, "true"):
        raise ApiError(Reason.PROVIDER_EMAIL_UNVERIFIED)
    return normalise_email(claims.email)


def create_account(request: ProviderSignIn, session: ProviderSession, email: str, now: datetime) -> Account:
    """Return the account of a first sign-in."""
    return Account(
        id=session.tokens.user_id,
        state=AccountState.CREATING,
        email=email,
        email_verified=True,
        first_name=_select_name(request.first_name, session.first_name),
        last_name=_select_name(request.last_name, session.last_name),
        phone=None,
        birth_date=None,
        locale=request.locale,
        time_zone=request.time_zone,
        notif_token=request.notif_token,
        role=ROLE,
        avatar=None,
        version=1,
        created_at=now,
        notif_token_at=None if request.notif_token is None else now,
    )


def _select_name(requested: str | None, provided: str) -> str:
    return requested or _CONTROL_CHARACTERS.sub("", provided).strip()[:MAX_NAME_LENGTH] or UNKNOWN_NAME
