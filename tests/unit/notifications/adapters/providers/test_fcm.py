"""FCM client: classification of responses and errors, access tokens, and the proxy of the environment."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.auth.exceptions import TransportError

from services.notifications.adapters.providers import fcm
from services.notifications.adapters.providers.fcm import FcmClient, map_response
from services.notifications.domain.notifications import ACCEPTED_RESPONSE, Outcome, ProviderResponse, Push
from services.runtime.outbound.http1_transport import Http1Transport

PUSH = Push("n1", "Paid", "Thank you", {}, datetime.now(UTC) + timedelta(hours=1), is_urgent=False)
ACCEPTED = httpx.Response(200, json={"name": "projects/delivery/messages/1"})


@pytest.mark.parametrize(
    ("status", "body", "outcome", "code"),
    [
        (401, {}, Outcome.BUSY, "HTTP_401"),
        (429, {"error": {"details": [{"errorCode": "QUOTA_EXCEEDED"}]}}, Outcome.BUSY, "QUOTA_EXCEEDED"),
        (503, {"error": {"details": []}}, Outcome.BUSY, "HTTP_503"),
        (400, {"error": {"details": [{}, {"errorCode": "x" * 99}]}}, Outcome.REJECTED, "x" * 64),
        (500, [], Outcome.UNCLEAR, "HTTP_500"),
        (302, None, Outcome.UNCLEAR, "HTTP_302"),
        (200, None, Outcome.UNCLEAR, "NONSENSE"),
        (200, {"name": "other/1"}, Outcome.UNCLEAR, "NONSENSE"),
    ],
)
def test_error_response_is_classified(status: int, body: object, outcome: Outcome, code: str) -> None:
    response = map_response(httpx.Response(status, json=body))
    assert (response.outcome, response.code, response.is_unregistered) == (outcome, code, False)


@pytest.mark.parametrize("content", [b"", b"\xff", b"[" * 100_000])
def test_response_that_is_not_json_is_classified(content: bytes) -> None:
    assert map_response(httpx.Response(200, content=content)).code == "NONSENSE"
    assert map_response(httpx.Response(404, content=content)).code == "HTTP_404"


@pytest.mark.parametrize(
    ("status", "code", "is_unregistered"), [(404, "UNREGISTERED", True), (403, "SENDER_ID_MISMATCH", False)]
)
def test_unusable_token_is_rejected(status: int, code: str, is_unregistered: bool) -> None:
    response = map_response(httpx.Response(status, json={"error": {"details": [{"errorCode": code}]}}))
    assert (response.outcome, response.code, response.is_unregistered) == (Outcome.REJECTED, code, is_unregistered)


@cache
def create_private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def create_client() -> FcmClient:
    account = {
        "type": "service_account",
        "project_id": "delivery",
        "private_key": create_private_key(),
        "client_email": "push@delivery.test",
        "token_uri": "http://127.0.0.1:9/token",
    }
    return FcmClient(account, "https://fcm.test")


class Tokens:
    """Stub of the token endpoint: the tokens are numbered, until it is unavailable."""

    def __init__(self, client: FcmClient) -> None:
        self.count = 0
        self.is_available = True
        self._credentials: Any = client._token._credentials
        self._credentials.refresh = self._refresh

    def _refresh(self, _request: object) -> None:
        if not self.is_available:
            raise TransportError("unreachable")
        self.count += 1
        self._credentials.token = f"token-{self.count}"


async def push(handle: Callable[[httpx.Request], httpx.Response], client: FcmClient) -> ProviderResponse:
    client._transport = httpx.MockTransport(handle)
    return await client.push("phone", PUSH)


@pytest.mark.parametrize(
    ("error", "outcome", "code"),
    [
        (httpx.ConnectError(""), Outcome.BUSY, "UNREACHABLE"),
        (httpx.ConnectTimeout(""), Outcome.BUSY, "UNREACHABLE"),
        (httpx.ProxyError(""), Outcome.BUSY, "UNREACHABLE"),
        (httpx.ReadTimeout(""), Outcome.UNCLEAR, "TIMEOUT"),
        (httpx.ReadError(""), Outcome.UNCLEAR, "TRANSPORT"),
        (httpx.RemoteProtocolError(""), Outcome.UNCLEAR, "TRANSPORT"),
    ],
)
async def test_only_missing_connection_excludes_delivery(error: Exception, outcome: Outcome, code: str) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    client = create_client()
    Tokens(client)
    assert await push(fail, client) == ProviderResponse(outcome, code)


async def test_slow_response_is_unclear(monkeypatch: pytest.MonkeyPatch) -> None:
    async def stall(_: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(fcm, "TIMEOUT_S", 0.05)
    client = create_client()
    Tokens(client)
    client._transport = httpx.MockTransport(stall)
    assert await client.push("phone", PUSH) == ProviderResponse(Outcome.UNCLEAR, "TIMEOUT")


async def test_concurrent_messages_share_an_access_token() -> None:
    client = create_client()
    tokens = Tokens(client)
    responses = await asyncio.gather(*(push(lambda _: ACCEPTED, client) for _ in range(3)))
    assert responses == [ACCEPTED_RESPONSE] * 3
    assert tokens.count == 1


async def test_rejected_access_token_is_replaced_once() -> None:
    authorizations = []

    def handle(request: httpx.Request) -> httpx.Response:
        authorizations.append(request.headers["authorization"])
        return httpx.Response(401) if len(authorizations) != 2 else ACCEPTED

    client = create_client()
    tokens = Tokens(client)
    assert await push(handle, client) == ACCEPTED_RESPONSE
    assert authorizations == ["Bearer token-1", "Bearer token-2"]
    assert await push(handle, client) == ProviderResponse(Outcome.BUSY, "HTTP_401")
    assert len(authorizations) == 4
    tokens.is_available = False
    assert await push(handle, client) == ProviderResponse(Outcome.BUSY, "AUTH_UNAVAILABLE")


async def test_missing_access_token_excludes_delivery() -> None:
    client = create_client()
    Tokens(client).is_available = False
    assert await push(lambda _: ACCEPTED, client) == ProviderResponse(Outcome.BUSY, "AUTH_UNAVAILABLE")


async def test_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    client = create_client()
    assert isinstance(client._transport, Http1Transport)
    monkeypatch.setenv("https_proxy", "http://proxy.test:3128")
    assert isinstance(create_client()._transport, httpx.AsyncHTTPTransport)
    monkeypatch.setenv("no_proxy", "fcm.test")
    assert isinstance(create_client()._transport, Http1Transport)
    await client.close()
