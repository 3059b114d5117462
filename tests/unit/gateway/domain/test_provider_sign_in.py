"""Sign-in with an external provider: verified addresses, and the account of a first sign-in."""

import base64
import json
from typing import Any

import pytest

from generated.problems import Reason
from services.gateway.domain.accounts import AccountState, SessionTokens
from services.gateway.domain.provider_sign_in import (
    ProviderSession,
    ProviderSignIn,
    SignInProvider,
    create_account,
    get_verified_email,
)
from tests.unit.fake_transactions import NOW, raises_reason

TOKENS = SessionTokens("access", "refresh", 3600, "u1", NOW)


def encode_token(claims: Any) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{payload}.c2ln"


@pytest.mark.parametrize("is_verified", [True, "true"])
def test_verified_email_is_normalised(is_verified: Any) -> None:
    token = encode_token({"sub": "1", "email": "Ada@Delivery.Test", "email_verified": is_verified})
    assert get_verified_email(token) == "ada@delivery.test"


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"email": "ada@delivery.test"},
        {"email": "ada@delivery.test", "email_verified": False},
        {"email": "ada@delivery.test", "email_verified": "false"},
        {"email": "ada@delivery.test", "email_verified": "True"},
        {"email": "", "email_verified": True},
        {"email_verified": True},
    ],
)
def test_unverified_email_raises(claims: dict[str, Any]) -> None:
    with raises_reason(Reason.PROVIDER_EMAIL_UNVERIFIED):
        get_verified_email(encode_token(claims))


@pytest.mark.parametrize(
    "token", ["", "x", "a.b", "a.%.c", encode_token([1]), encode_token({"email": 1}), "e30.\u00e9.c"]
)
def test_malformed_token_raises(token: str) -> None:
    with raises_reason(Reason.PROVIDER_TOKEN_INVALID):
        get_verified_email(token)


@pytest.mark.parametrize(
    ("requested", "provided", "name"),
    [
        ("Ada", "Augusta", "Ada"),
        (None, "Augusta\n", "Augusta"),
        (None, " ", "-"),
        (None, "", "-"),
        (None, "x" * 101, "x" * 100),
    ],
)
def test_account_is_named_by_request_or_provider(requested: str | None, provided: str, name: str) -> None:
    request = ProviderSignIn(SignInProvider.GOOGLE, "token", first_name=requested, last_name=requested, locale="de")
    account = create_account(request, ProviderSession(TOKENS, provided, provided), "ada@delivery.test", NOW)
    assert (account.first_name, account.last_name) == (name, name)
    assert (account.id, account.state, account.role, account.locale) == ("u1", AccountState.CREATING, "customer", "de")
    assert (account.email, account.email_verified, account.notif_token_at) == ("ada@delivery.test", True, None)


def test_request_does_not_show_its_token() -> None:
    assert "secret" not in repr(ProviderSignIn(SignInProvider.APPLE, "secret", nonce="secret"))
