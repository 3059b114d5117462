"""Requests, errors and account representation of the Identity Toolkit."""

import json
from typing import Any

import msgspec
import pytest
from starlette.requests import Request
from starlette.responses import Response

from services.sandbox.http_helpers import create_json_response
from services.sandbox.identity.accounts import Account, IdentityError
from services.sandbox.identity.schemas import (
    SignUpRequest,
    UpdateAccountRequest,
    build_user_info,
    create_error_response,
    handle_identity_errors,
)

ACCOUNT = Account(local_id="u1", email="ada@delivery.test", valid_since=1, created_at=2)


def decode[T](text: str, model: type[T]) -> T:
    return msgspec.json.decode(text, type=model)


def test_request_fields_are_in_camel_case() -> None:
    request = decode(
        '{"email": "a@b", "password": "p", "displayName": "Ada", "returnSecureToken": true}', SignUpRequest
    )
    assert request == SignUpRequest(email="a@b", password="p", display_name="Ada", return_secure_token=True)


@pytest.mark.parametrize(
    "text",
    [
        '{"email": "a@b"}',
        '{"email": "a@b", "password": "p", "display_name": "Ada"}',
        '{"email": "a@b", "password": "p", "unknown": 1}',
        '{"email": "a@b", "password": 1}',
        json.dumps({"email": "a@b", "password": "x" * 4097}),
    ],
)
def test_invalid_request_is_rejected(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        decode(text, SignUpRequest)


def test_only_known_attributes_can_be_deleted() -> None:
    assert decode('{"deleteAttribute": ["DISPLAY_NAME"]}', UpdateAccountRequest).delete_attribute == ("DISPLAY_NAME",)
    with pytest.raises(msgspec.ValidationError):
        decode('{"deleteAttribute": ["PASSWORD"]}', UpdateAccountRequest)


def test_error_document_is_that_of_google() -> None:
    response = create_error_response(IdentityError("EMAIL_EXISTS"))
    assert (response.status_code, json.loads(response.body)) == (
        400,
        {
            "error": {
                "code": 400,
                "message": "EMAIL_EXISTS",
                "errors": [{"message": "EMAIL_EXISTS", "domain": "global", "reason": "invalid"}],
            }
        },
    )


async def handle(error: Exception | None) -> Response:
    async def handler(_: Request) -> Response:
        if error is not None:
            raise error
        return create_json_response({})

    return await handle_identity_errors(handler)(Request({"type": "http"}))


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (IdentityError("USER_NOT_FOUND"), 400, "USER_NOT_FOUND"),
        (IdentityError("missing key", 403), 403, "missing key"),
        (msgspec.ValidationError("Expected `str`"), 400, "Invalid JSON payload received. Expected `str`"),
        (msgspec.DecodeError("malformed"), 400, "Invalid JSON payload received. malformed"),
    ],
)
async def test_error_of_handler_is_converted(error: Exception, status: int, message: str) -> None:
    response = await handle(error)
    assert (response.status_code, json.loads(response.body)["error"]["message"]) == (status, message)


async def test_text_that_is_not_unicode_is_converted() -> None:
    error = UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
    assert (await handle(error)).status_code == 400


async def test_success_and_other_errors_are_unchanged() -> None:
    assert (await handle(None)).status_code == 200
    with pytest.raises(KeyError):
        await handle(KeyError("programming error"))


def test_new_account_has_no_optional_fields() -> None:
    assert build_user_info(ACCOUNT) == {
        "localId": "u1",
        "email": "ada@delivery.test",
        "emailVerified": False,
        "disabled": False,
        "customAttributes": "{}",
        "validSince": "1",
        "createdAt": "2",
        "providerUserInfo": [
            {
                "providerId": "password",
                "email": "ada@delivery.test",
                "federatedId": "ada@delivery.test",
                "rawId": "ada@delivery.test",
            }
        ],
    }


def test_optional_fields_are_shown_if_present() -> None:
    changes: dict[str, Any] = {"display_name": "Ada", "last_login_at": 3, "password_updated_at": 4}
    info = build_user_info(msgspec.structs.replace(ACCOUNT, **changes))
    assert (info["displayName"], info["lastLoginAt"], info["passwordUpdatedAt"]) == ("Ada", "3", 4)


def test_password_hash_is_not_shown() -> None:
    assert "hash" not in str(build_user_info(msgspec.structs.replace(ACCOUNT, password="salt:hash")))
