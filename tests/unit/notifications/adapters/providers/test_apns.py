"""Classification of APNs responses and renewal of provider tokens."""

import asyncio
import socket
from datetime import UTC, datetime

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from services.notifications.adapters.providers import apns
from services.notifications.adapters.providers.apns import MAX_TOKEN_AGE_S, ApnsClient, ApnsKey, map_response
from services.notifications.domain.notifications import Outcome, Push
from services.runtime.telemetry.http_client import DURATION


def encode_key(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@pytest.mark.parametrize(
    ("status", "body", "outcome", "code", "is_unregistered"),
    [
        (200, "", Outcome.UNCLEAR, "NONSENSE", False),
        (400, '{"reason": "BadDeviceToken"}', Outcome.REJECTED, "BadDeviceToken", True),
        (410, '{"reason": "Unregistered"}', Outcome.REJECTED, "Unregistered", True),
        (410, "nonsense", Outcome.REJECTED, "HTTP_410", True),
        (403, '{"reason": "ExpiredProviderToken"}', Outcome.BUSY, "ExpiredProviderToken", False),
        (429, "[]", Outcome.BUSY, "HTTP_429", False),
        (503, "{}", Outcome.BUSY, "HTTP_503", False),
        (413, '{"reason": "PayloadTooLarge"}', Outcome.REJECTED, "PayloadTooLarge", False),
        (500, "null", Outcome.UNCLEAR, "HTTP_500", False),
    ],
)
def test_response_is_classified(status: int, body: str, outcome: Outcome, code: str, is_unregistered: bool) -> None:
    response = map_response(httpx.Response(status, text=body))
    assert (response.outcome, response.code, response.is_unregistered) == (outcome, code, is_unregistered)


def test_success_requires_apns_id() -> None:
    assert map_response(httpx.Response(200, headers={"apns-id": "x"})).outcome is Outcome.ACCEPTED


def test_long_reason_is_truncated() -> None:
    assert len(map_response(httpx.Response(400, json={"reason": "x" * 1000})).code) == 64


async def test_provider_token_is_renewed_after_maximum_age() -> None:
    private_key = ec.generate_private_key(ec.SECP256R1())
    pem = encode_key(private_key)
    now = 1000.0
    client = ApnsClient("https://apns.test", ApnsKey("KEY", "TEAM", "topic", pem), lambda: now)
    first = client._get_provider_token()
    now += MAX_TOKEN_AGE_S
    assert client._get_provider_token() == first
    now += 1
    renewed = client._get_provider_token()
    claims = jwt.decode(renewed, private_key.public_key(), algorithms=["ES256"], options={"verify_iat": False})
    assert claims == {"iss": "TEAM", "iat": 1000 + MAX_TOKEN_AGE_S + 1}
    await client.close()


async def test_slow_response_is_unclear_after_total_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    async def respond_slowly(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(60)
        raise AssertionError

    monkeypatch.setattr(apns, "TOTAL_TIMEOUT_S", 0.01)
    pem = encode_key(ec.generate_private_key(ec.SECP256R1()))
    client = ApnsClient("https://apns.test", ApnsKey("KEY", "TEAM", "topic", pem))
    http = httpx.AsyncClient(base_url="https://apns.test", transport=httpx.MockTransport(respond_slowly))
    monkeypatch.setattr(client, "_client", http)
    async with asyncio.timeout(1):
        response = await client.push("device", Push("p1", "title", "body", {}, datetime.now(UTC), is_urgent=False))
    await client.close()
    assert (response.outcome, response.code) == (Outcome.UNCLEAR, "TIMEOUT")


async def test_request_is_measured_by_server() -> None:
    pem = encode_key(ec.generate_private_key(ec.SECP256R1()))
    with socket.socket() as unused:  # bound and not listening
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        client = ApnsClient(f"http://127.0.0.1:{port}", ApnsKey("KEY", "TEAM", "topic", pem))
        response = await client.push("device", Push("p1", "title", "body", {}, datetime.now(UTC), is_urgent=False))
        await client.close()
    assert response.code == "UNREACHABLE"
    series = [point.attributes for point in DURATION.to_metric().data.data_points]
    assert {
        "http.request.method": "POST",
        "server.address": "127.0.0.1",
        "server.port": port,
        "error.type": "ConnectError",
    } in series
