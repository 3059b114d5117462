"""Requests, errors and account representation of the Identity Toolkit."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from services.sandbox.http_helpers import create_json_response
from services.sandbox.identity.accounts import Account, IdentityError

type Text = Annotated[str, msgspec.Meta(max_length=4096)]


class IdentityRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Base of requests: camelCase, unknown fields are rejected."""


class SignUpRequest(IdentityRequest, frozen=True):
    """Request of accounts:signUp."""

    email: Text
    password: Text
    display_name: Text | None = None
    return_secure_token: bool = False


class SignInRequest(IdentityRequest, frozen=True):
    """Request of accounts:signInWithPassword."""

    email: Text
    password: Text
    return_secure_token: bool = False


class IdTokenRequest(IdentityRequest, frozen=True):
    """Request of accounts:lookup and accounts:delete."""

    id_token: Text


class UpdateAccountRequest(IdentityRequest, frozen=True):
    """Request of accounts:update, with an ID token or an out-of-band code."""

    id_token: Text | None = None
    oob_code: Text | None = None
    email: Text | None = None
    password: Text | None = None
    display_name: Text | None = None
    delete_attribute: tuple[Literal["DISPLAY_NAME"], ...] = ()
    return_secure_token: bool = False


class ResetPasswordRequest(IdentityRequest, frozen=True):
    """Request of accounts:resetPassword; without a new password, the code is only verified."""

    oob_code: Text
    new_password: Text | None = None


def create_error_response(error: IdentityError) -> Response:
    """Return Google's error document."""
    items = [{"message": error.message, "domain": "global", "reason": "invalid"}]
    return create_json_response(
        {"error": {"code": error.status, "message": error.message, "errors": items}}, error.status
    )


def handle_identity_errors(
    handler: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """Wrap a handler: convert an IdentityError or an invalid body to Google's error document."""

    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except IdentityError as error:
            return create_error_response(error)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return create_error_response(IdentityError(f"Invalid JSON payload received. {error}"))

    return handle


def build_user_info(account: Account) -> dict[str, object]:
    """Return the account as in lookup responses. 64-bit numbers are strings, as in all Google APIs."""
    info: dict[str, object] = {
        "localId": account.local_id,
        "email": account.email,
        "emailVerified": account.email_verified,
        "disabled": account.disabled,
        "customAttributes": account.custom_attributes,
        "validSince": str(account.valid_since),
        "createdAt": str(account.created_at),
        "providerUserInfo": [
            {"providerId": "password", "email": account.email, "federatedId": account.email, "rawId": account.email}
        ],
    }
    if account.display_name is not None:
        info["displayName"] = account.display_name
    if account.last_login_at is not None:
        info["lastLoginAt"] = str(account.last_login_at)
    if account.password_updated_at is not None:
        info["passwordUpdatedAt"] = account.password_updated_at
    return info
