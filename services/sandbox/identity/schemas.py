"""How the Identity Toolkit speaks: its requests, its errors, its accounts."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from services.sandbox.http_helpers import json_response
from services.sandbox.identity.accounts import Account, IdentityError

type Text = Annotated[str, msgspec.Meta(max_length=4096)]


class IdentityRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A request as Google takes it: camelCase, no unknown names."""


class SignUpRequest(IdentityRequest, frozen=True):
    """accounts:signUp."""

    email: Text
    password: Text
    display_name: Text | None = None
    return_secure_token: bool = False


class SignInRequest(IdentityRequest, frozen=True):
    """accounts:signInWithPassword."""

    email: Text
    password: Text
    return_secure_token: bool = False


class IdTokenRequest(IdentityRequest, frozen=True):
    """accounts:lookup and accounts:delete."""

    id_token: Text


class UpdateAccountRequest(IdentityRequest, frozen=True):
    """accounts:update: by an ID token, or by a mailed code."""

    id_token: Text | None = None
    oob_code: Text | None = None
    email: Text | None = None
    password: Text | None = None
    display_name: Text | None = None
    delete_attribute: tuple[Literal["DISPLAY_NAME"], ...] = ()
    return_secure_token: bool = False


class ResetPasswordRequest(IdentityRequest, frozen=True):
    """accounts:resetPassword; without a new password it only looks at the code."""

    oob_code: Text
    new_password: Text | None = None


def error_response(error: IdentityError) -> Response:
    """Google's error document."""
    items = [{"message": error.message, "domain": "global", "reason": "invalid"}]
    return json_response({"error": {"code": error.status, "message": error.message, "errors": items}}, error.status)


def handle_identity_errors(
    handler: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """Answers an IdentityError, and a body that is none, in Google's form."""

    async def guarded(request: Request) -> Response:
        try:
            return await handler(request)
        except IdentityError as error:
            return error_response(error)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return error_response(IdentityError(f"Invalid JSON payload received. {error}"))

    return guarded


def user_info(account: Account) -> dict[str, object]:
    """The account as lookups show it. Numbers travel as strings, as everywhere at Google."""
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
