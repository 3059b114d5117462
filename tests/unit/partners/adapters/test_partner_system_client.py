"""Partner system client: signed requests and classification of responses."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import msgspec
import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from services.partners.adapters.partner_system_client import PartnerSystemClient, classify_response
from services.partners.domain.call_policy import Call, CallKind, CallState, Outcome, PartnerResponse
from services.partners.domain.partners import Partner
from services.runtime.core.errors import ApiError
from services.runtime.outbound import webhooks
from services.runtime.outbound.signed_client import MAX_RESPONSE_BYTES
from services.runtime.outbound.webhook_secrets import generate_secret
from services.runtime.outbound.webhooks import SignedRequest
from services.runtime.storage.encryption import SecretBox

NOW = datetime.now(UTC)
SECRET_BOX = SecretBox(Fernet.generate_key().decode())
OLD_SECRET, NEW_SECRET = generate_secret(), generate_secret()
PARTNER = Partner(
    7,
    "Green Bowl",
    "B",
    "+1",
    "b@delivery.test",
    "1 Square",
    "http://kitchen.test/api/",
    True,
    True,
    SECRET_BOX.encrypt(NEW_SECRET),
)
ORDER = {
    "order_id": "o1",
    "items": [{"product_id": 1, "title": "Soup", "quantity": 2}],
    "callback_url": "http://edge.test/ready",
}
CALL = Call("e1", 7, "o1", CallKind.ORDER, ORDER, {}, CallState.WAITING, 1, NOW, NOW)

type ResponseHandler = Callable[[httpx.Request], httpx.Response]


async def send(
    serve: ResponseHandler, partner: Partner = PARTNER, call: Call = CALL, timeout_s: float = 5
) -> PartnerResponse:
    def serve_stream(request: httpx.Request) -> httpx.Response:
        """Return the response as a stream that has not been read, as from a network."""
        response = serve(request)
        if not response.is_stream_consumed:
            return response
        return httpx.Response(response.status_code, headers=response.headers, stream=httpx.ByteStream(response.content))

    transport = httpx.MockTransport(serve_stream)
    return await PartnerSystemClient(transport, SECRET_BOX, lambda: NOW, timeout_s).send(partner, call)


def signed_request(request: httpx.Request) -> SignedRequest:
    return SignedRequest(
        request.headers["webhook-id"],
        request.headers["webhook-timestamp"],
        request.headers["webhook-signature"],
        request.content,
    )


async def test_call_with_undecryptable_secret_fails() -> None:
    partner = replace(PARTNER, webhook_secret=SecretBox(Fernet.generate_key().decode()).encrypt(NEW_SECRET))
    response = await send(lambda _: httpx.Response(204), partner)
    assert response == PartnerResponse(Outcome.FAILED, "not sent: the secret cannot be decrypted")


@pytest.mark.parametrize(
    ("kind", "path"), [(CallKind.ORDER, "/api/orders"), (CallKind.CANCELLATION, "/api/orders/o1/cancellation")]
)
async def test_each_call_kind_uses_its_path_and_webhook_id(kind: CallKind, path: str) -> None:
    requests: list[httpx.Request] = []

    def serve(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(204)

    for _ in range(2):
        assert await send(serve, call=replace(CALL, kind=kind)) == PartnerResponse(Outcome.ACCEPTED, "204")
    assert [(request.method, request.url.path) for request in requests] == [("POST", path)] * 2
    assert [request.headers["webhook-id"] for request in requests] == ["e1"] * 2
    webhooks.verify_signature(signed_request(requests[0]), [NEW_SECRET])


async def test_request_is_signed_with_all_active_secrets() -> None:
    def serve(request: httpx.Request) -> httpx.Response:
        for secret, is_active in expected.items():
            try:
                webhooks.verify_signature(signed_request(request), [secret])
            except ApiError:
                assert not is_active
            else:
                assert is_active
        return httpx.Response(204)

    rotated = replace(PARTNER, old_secret=SECRET_BOX.encrypt(OLD_SECRET), old_secret_until=NOW + timedelta(seconds=1))
    expected = {NEW_SECRET: True, OLD_SECRET: True}
    assert (await send(serve, rotated)).outcome is Outcome.ACCEPTED
    expected = {NEW_SECRET: True, OLD_SECRET: False}
    assert (await send(serve, replace(rotated, old_secret_until=NOW))).outcome is Outcome.ACCEPTED


@pytest.mark.parametrize(
    ("response", "outcome", "summary"),
    [
        (httpx.Response(204), Outcome.ACCEPTED, "204"),
        (httpx.Response(200, json={"order_id": "o1", "seats": 4}), Outcome.ACCEPTED, "200"),
        (httpx.Response(200, json={"order_id": "o2"}), Outcome.FAILED, "200: response violates the contract"),
        (httpx.Response(200, json={}), Outcome.FAILED, "200: response violates the contract"),
        (httpx.Response(200, html="<h1>It works!</h1>"), Outcome.FAILED, "200: response violates the contract"),
        (httpx.Response(200, content=b"\xff"), Outcome.FAILED, "200: response violates the contract"),
        (httpx.Response(200, content=b'{"order_id": "o1"}'), Outcome.FAILED, "200: response violates the contract"),
        (httpx.Response(202), Outcome.FAILED, "202: response violates the contract"),
        (
            httpx.Response(301, headers={"location": "http://127.0.0.1:9901/"}),
            Outcome.FAILED,
            "301: redirect not followed",
        ),
        (httpx.Response(307, headers={"location": "/elsewhere"}), Outcome.FAILED, "307: redirect not followed"),
        (httpx.Response(400), Outcome.FAILED, "400"),
        (httpx.Response(401), Outcome.FAILED, "401"),
        (httpx.Response(404), Outcome.FAILED, "404"),
        (httpx.Response(410), Outcome.GONE, "410"),
        (httpx.Response(422), Outcome.REJECTED, "422"),
        (httpx.Response(500), Outcome.FAILED, "500"),
    ],
)
async def test_responses_are_classified_by_contract(response: httpx.Response, outcome: Outcome, summary: str) -> None:
    result = await send(lambda request: response)
    assert result.outcome is outcome
    assert result.summary == summary


@given(status=st.integers(200, 599), body=st.binary(max_size=50))
def test_only_204_accepts_order_with_arbitrary_body(status: int, body: bytes) -> None:
    response = classify_response(httpx.Response(status), body, "o1", NOW)
    assert (response.outcome is Outcome.ACCEPTED) == (status == 204)


@pytest.mark.parametrize("error", [httpx.ConnectError("x"), httpx.ReadTimeout("x"), httpx.RemoteProtocolError("x")])
async def test_network_error_returns_failed_outcome(error: httpx.HTTPError) -> None:
    def serve(request: httpx.Request) -> httpx.Response:
        raise error

    assert await send(serve) == PartnerResponse(Outcome.FAILED, type(error).__name__)


async def test_endless_response_is_aborted_at_size_limit() -> None:
    sent_bytes = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent_bytes
        while True:
            sent_bytes += 1024
            yield b"x" * 1024

    response = await send(lambda request: httpx.Response(200, content=endless()))
    assert response.outcome is Outcome.FAILED
    assert sent_bytes <= MAX_RESPONSE_BYTES + 1024


async def test_slow_response_hits_total_timeout() -> None:
    async def stalling() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.Event().wait()

    response = await send(lambda request: httpx.Response(200, content=stalling()), timeout_s=0.05)
    assert response == PartnerResponse(Outcome.FAILED, "TimeoutError")


async def test_503_with_retry_after_returns_delay() -> None:
    response = await send(lambda request: httpx.Response(503, headers={"retry-after": "7"}))
    assert response == PartnerResponse(Outcome.FAILED, "503", timedelta(seconds=7))


async def test_request_body_is_call_payload() -> None:
    def serve(request: httpx.Request) -> httpx.Response:
        assert msgspec.json.decode(request.content) == CALL.payload
        assert request.headers["content-type"] == "application/json"
        return httpx.Response(204)

    assert (await send(serve)).outcome is Outcome.ACCEPTED


async def test_invalid_request_is_not_sent() -> None:
    def serve(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request.content)

    for payload in ({"order_id": "o1"}, {**ORDER, "items": []}, {**ORDER, "colour": "red"}):
        result = await send(serve, call=replace(CALL, payload=payload))
        assert result == PartnerResponse(Outcome.FAILED, "not sent: request violates the contract")
