"""Signed client: signatures, validation by contract, limits of time and response size, and durations."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest

from services.runtime.core.errors import ApiError
from services.runtime.outbound import safe_http_client, webhook_secrets, webhooks
from services.runtime.outbound.signed_client import (
    MAX_RESPONSE_BYTES,
    RequestFailedError,
    ResponseTooLargeError,
    SignedClient,
    SignedPost,
    ThirdPartyResponse,
)
from services.runtime.telemetry.http_client import DURATION

NOW = datetime.now(UTC)
SECRETS = [webhook_secrets.generate_secret(), webhook_secrets.generate_secret()]
BODY = b'{"refund_id":"ref_1","payment_id":"pay_1","amount":34,"currency":"USD"}'
REQUEST = SignedPost("http://bank.test/visa", "/refunds", "ref_1", BODY, SECRETS)

type Handler = Callable[[httpx.Request], httpx.Response]


async def post(handler: Handler, request: SignedPost = REQUEST, timeout_s: float = 5) -> ThirdPartyResponse:
    def handle(received: httpx.Request) -> httpx.Response:
        """Return the response as an unread stream, as a network transport does."""
        response = handler(received)
        if not response.is_stream_consumed:
            return response
        return httpx.Response(response.status_code, headers=response.headers, stream=httpx.ByteStream(response.content))

    client = SignedClient(httpx.MockTransport(handle), "payment-system", lambda: NOW, timeout_s)
    return await client.post(request, "refund", {})


@pytest.mark.parametrize("base_url", ["http://bank.test:99999", "http://xn--a/x"])
async def test_invalid_base_url_fails_request(base_url: str) -> None:
    with pytest.raises(RequestFailedError, match=r"^InvalidURL$"):
        await post(lambda _: httpx.Response(204), replace(REQUEST, base_url=base_url))


@pytest.mark.parametrize("base_url", ["http://bank.test/visa", "http://bank.test/visa/", "http://bank.test/visa?a=b"])
async def test_request_is_signed_with_each_secret(base_url: str) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        assert (request.method, str(request.url), request.content) == ("POST", "http://bank.test/visa/refunds", BODY)
        assert request.headers["content-type"] == "application/json"
        names = ("webhook-id", "webhook-timestamp", "webhook-signature")
        signed = webhooks.SignedRequest(*(request.headers[name] for name in names), request.content)
        assert signed.id == "ref_1"
        for secret in SECRETS:
            webhooks.verify_signature(signed, [secret])
        with pytest.raises(ApiError):
            webhooks.verify_signature(signed, [webhook_secrets.generate_secret()])
        return httpx.Response(204)

    response = await post(handle, replace(REQUEST, base_url=base_url))
    assert response.http.status_code == 204


@pytest.mark.parametrize(
    ("response", "is_valid"),
    [
        (httpx.Response(200, content=BODY, headers={"content-type": "application/json"}), True),
        (httpx.Response(200, content=BODY), False),
        (httpx.Response(200, json={"refund_id": "ref_1"}), False),
        (httpx.Response(200, content=b"\xff", headers={"content-type": "application/json"}), False),
    ],
)
async def test_response_is_validated_by_contract(response: httpx.Response, is_valid: bool) -> None:
    received = await post(lambda request: response)
    assert received.body == response.content
    assert received.is_valid is is_valid


async def test_redirect_is_returned_and_not_followed() -> None:
    received = await post(lambda request: httpx.Response(302, headers={"location": "http://127.0.0.1/"}))
    assert received.http.status_code == 302


async def test_request_outside_contract_is_not_sent() -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request.content)

    with pytest.raises(RequestFailedError, match="not sent: request violates the contract"):
        await post(handle, replace(REQUEST, body=b'{"refund_id":"ref_1"}'))


@pytest.mark.parametrize("error", [httpx.ConnectError("x"), httpx.ReadTimeout("x"), httpx.RemoteProtocolError("x")])
async def test_network_error_is_summarised_by_its_type(error: httpx.HTTPError) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        raise error

    with pytest.raises(RequestFailedError, match=rf"^{type(error).__name__}$"):
        await post(handle)


async def test_private_target_is_reported_as_forbidden() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["10.0.0.1"]

    async def connect(address: str, port: int) -> socket.socket:
        raise AssertionError(address)

    async with safe_http_client.create_transport((), resolve=resolve, connect=connect) as transport:
        signed_client = SignedClient(transport, "payment-system", lambda: NOW, 5)
        with pytest.raises(RequestFailedError, match=r"^forbidden target$"):
            await signed_client.post(REQUEST, "refund", {})


async def test_endless_response_is_aborted_at_size_limit() -> None:
    sent_bytes = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent_bytes
        while True:
            sent_bytes += 1024
            yield b"x" * 1024

    with pytest.raises(ResponseTooLargeError, match=f"response larger than {MAX_RESPONSE_BYTES} bytes"):
        await post(lambda request: httpx.Response(200, content=endless()))
    assert sent_bytes <= MAX_RESPONSE_BYTES + 1024


async def test_slow_response_hits_total_timeout() -> None:
    async def stalling() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.Event().wait()

    with pytest.raises(RequestFailedError, match=r"^TimeoutError$"):
        await post(lambda request: httpx.Response(200, content=stalling()), timeout_s=0.05)


@pytest.mark.parametrize(
    ("host", "timeout_s", "outcome"),
    [
        ("measured.test", 5, {"http.response.status_code": 503, "error.type": "503"}),
        ("slow.test", 0.05, {"http.response.status_code": 503, "error.type": "TimeoutError"}),
    ],
)
async def test_request_is_measured_until_the_body_is_read(
    host: str, timeout_s: float, outcome: dict[str, int | str]
) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b" "
        if host == "slow.test":
            await asyncio.Event().wait()

    with contextlib.suppress(RequestFailedError):
        request = replace(REQUEST, base_url=f"http://{host}")
        await post(lambda _: httpx.Response(503, content=body()), request, timeout_s)
    server = {"http.request.method": "POST", "server.address": host, "server.port": 80}
    assert server | outcome in [point.attributes for point in DURATION.to_metric().data.data_points]
