"""Client of the Identity Toolkit: requests, and responses as documented by Google."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from generated.problems import Reason
from services.gateway.adapters.identity_toolkit import IdentityToolkitClient
from services.gateway.domain.provider_sign_in import ProviderSignIn, SignInProvider
from tests.unit.fake_transactions import raises_reason
from tests.unit.gateway.domain.test_provider_sign_in import encode_token

ACCESS_TOKEN = encode_token({"iat": 1767225600})
SESSION = {"idToken": ACCESS_TOKEN, "refreshToken": "r", "expiresIn": "3600", "localId": "u1", "emailVerified": True}
REQUEST = ProviderSignIn(SignInProvider.APPLE, "a.b.c", nonce="n&1")


class Google:
    """Google's API with one response."""

    def __init__(self, status: int, response: Any) -> None:
        self.status, self.response = status, response
        self.requests: list[httpx.Request] = []

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return httpx.Response(self.status, json=self.response)

    def create_client(self) -> IdentityToolkitClient:
        client = httpx.AsyncClient(transport=httpx.MockTransport(self.handle))
        return IdentityToolkitClient("key", "", client)


async def test_provider_token_is_exchanged_for_session() -> None:
    google = Google(200, SESSION | {"firstName": "Ada", "lastName": "Byron", "isNewUser": True})
    session = await google.create_client().sign_in_with_provider(REQUEST)
    assert (session.first_name, session.last_name) == ("Ada", "Byron")
    assert (session.tokens.access_token, session.tokens.refresh_token) == (ACCESS_TOKEN, "r")
    assert (session.tokens.user_id, session.tokens.issued_at) == ("u1", datetime.fromtimestamp(1767225600, UTC))
    [request] = google.requests
    assert str(request.url) == "https://identitytoolkit.googleapis.com/v1/accounts:signInWithIdp?key=key"
    body = json.loads(request.content)
    assert parse_qs(body.pop("postBody")) == {"id_token": ["a.b.c"], "providerId": ["apple.com"], "nonce": ["n&1"]}
    assert body == {"requestUri": "http://localhost", "returnSecureToken": True}


@pytest.mark.parametrize(
    ("status", "response", "reason"),
    [
        (200, {"needConfirmation": True, "email": "ada@delivery.test"}, Reason.EMAIL_TAKEN),
        (200, SESSION | {"emailVerified": False}, Reason.PROVIDER_EMAIL_UNVERIFIED),
        (200, SESSION | {"idToken": "x"}, Reason.UPSTREAM_UNAVAILABLE),
        (200, {"users": [7]}, Reason.UPSTREAM_UNAVAILABLE),
        (400, {"error": {"message": "INVALID_IDP_RESPONSE : expired"}}, Reason.PROVIDER_TOKEN_INVALID),
        (400, {"error": {"message": "MISSING_OR_INVALID_NONCE"}}, Reason.PROVIDER_TOKEN_INVALID),
        (400, {"error": {"message": "USER_DISABLED"}}, Reason.PROVIDER_TOKEN_INVALID),
        (400, {"error": {"message": "OPERATION_NOT_ALLOWED"}}, Reason.UPSTREAM_UNAVAILABLE),
        (503, {}, Reason.UPSTREAM_UNAVAILABLE),
    ],
)
async def test_provider_sign_in_without_session_raises(status: int, response: Any, reason: Reason) -> None:
    with raises_reason(reason):
        await Google(status, response).create_client().sign_in_with_provider(REQUEST)
