"""What a partner's system is sent, and what its answers mean by the contract."""

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

from services.partners.adapters.partner_system_client import (
    MAX_RESPONSE_BYTES,
    PartnerSystemClient,
    classify_response,
    parse_retry_after,
)
from services.partners.domain.call_policy import Call, CallKind, CallState, Outcome, PartnerResponse
from services.partners.domain.partners import Partner
from services.partners.usecases.webhook_secrets import new_secret
from services.runtime.core.errors import ApiError
from services.runtime.outbound import webhooks
from services.runtime.outbound.webhooks import SignedRequest
from services.runtime.storage.encryption import SecretBox

NOW = datetime.now(UTC)
SECRET_BOX = SecretBox(Fernet.generate_key().decode())
OLD_SECRET, NEW_SECRET = new_secret(), new_secret()
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
    def unread(request: httpx.Request) -> httpx.Response:
        """The answer as it comes from a network, which nobody has read yet."""
        answer = serve(request)
        if not answer.is_stream_consumed:
            return answer
        return httpx.Response(answer.status_code, headers=answer.headers, stream=httpx.ByteStream(answer.content))

    async with httpx.AsyncClient(transport=httpx.MockTransport(unread)) as client:
        return await PartnerSystemClient(client, SECRET_BOX, lambda: NOW, timeout_s).send(partner, call)


def signed_request(request: httpx.Request) -> SignedRequest:
    return SignedRequest(
        request.headers["webhook-id"],
        request.headers["webhook-timestamp"],
        request.headers["webhook-signature"],
        request.content,
    )


@pytest.mark.parametrize(
    ("kind", "path"), [(CallKind.ORDER, "/api/orders"), (CallKind.CANCELLATION, "/api/orders/o1/cancellation")]
)
async def test_each_kind_of_call_has_its_path_and_the_calls_id(kind: CallKind, path: str) -> None:
    seen: list[httpx.Request] = []

    def serve(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(204)

    for _ in range(2):
        assert await send(serve, call=replace(CALL, kind=kind)) == PartnerResponse(Outcome.ACCEPTED, "204")
    assert [(one.method, one.url.path) for one in seen] == [("POST", path)] * 2
    assert [one.headers["webhook-id"] for one in seen] == ["e1"] * 2
    webhooks.verify_signature(signed_request(seen[0]), [NEW_SECRET])


async def test_both_secrets_sign_until_the_old_one_has_run_out() -> None:
    def serve(request: httpx.Request) -> httpx.Response:
        for secret, good in expected.items():
            try:
                webhooks.verify_signature(signed_request(request), [secret])
            except ApiError:
                assert not good
            else:
                assert good
        return httpx.Response(204)

    rotated = replace(PARTNER, old_secret=SECRET_BOX.encrypt(OLD_SECRET), old_secret_until=NOW + timedelta(seconds=1))
    expected = {NEW_SECRET: True, OLD_SECRET: True}
    assert (await send(serve, rotated)).outcome is Outcome.ACCEPTED
    expected = {NEW_SECRET: True, OLD_SECRET: False}
    assert (await send(serve, replace(rotated, old_secret_until=NOW))).outcome is Outcome.ACCEPTED


@pytest.mark.parametrize(
    ("answer", "verdict", "words"),
    [
        (httpx.Response(204), Outcome.ACCEPTED, "204"),
        (httpx.Response(200, json={"order_id": "o1", "seats": 4}), Outcome.ACCEPTED, "200"),
        (httpx.Response(200, json={"order_id": "o2"}), Outcome.FAILED, "200, not by the contract"),
        (httpx.Response(200, json={}), Outcome.FAILED, "200, not by the contract"),
        (httpx.Response(200, html="<h1>It works!</h1>"), Outcome.FAILED, "200, not by the contract"),
        (httpx.Response(200, content=b"\xff"), Outcome.FAILED, "200, not by the contract"),
        (httpx.Response(200, content=b'{"order_id": "o1"}'), Outcome.FAILED, "200, not by the contract"),
        (httpx.Response(202), Outcome.FAILED, "202, not by the contract"),
        (httpx.Response(301, headers={"location": "http://127.0.0.1:9901/"}), Outcome.FAILED, "301, a redirect"),
        (httpx.Response(307, headers={"location": "/elsewhere"}), Outcome.FAILED, "307, a redirect"),
        (httpx.Response(400), Outcome.FAILED, "400"),
        (httpx.Response(401), Outcome.FAILED, "401"),
        (httpx.Response(404), Outcome.FAILED, "404"),
        (httpx.Response(410), Outcome.GONE, "410"),
        (httpx.Response(422), Outcome.REJECTED, "422"),
        (httpx.Response(500), Outcome.FAILED, "500"),
    ],
)
async def test_only_answers_of_the_contract_count(answer: httpx.Response, verdict: Outcome, words: str) -> None:
    given = await send(lambda request: answer)
    assert given.outcome is verdict
    assert given.summary.startswith(words)


@given(status=st.integers(200, 599), body=st.binary(max_size=50))
def test_no_other_answer_takes_an_order(status: int, body: bytes) -> None:
    answer = classify_response(httpx.Response(status), body, "o1", NOW)
    assert (answer.outcome is Outcome.ACCEPTED) == (status == 204)


@pytest.mark.parametrize("error", [httpx.ConnectError("x"), httpx.ReadTimeout("x"), httpx.RemoteProtocolError("x")])
async def test_what_the_network_does_is_an_answer_too(error: httpx.HTTPError) -> None:
    def serve(request: httpx.Request) -> httpx.Response:
        raise error

    assert await send(serve) == PartnerResponse(Outcome.FAILED, type(error).__name__)


async def test_an_answer_without_end_is_cut() -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1024
            yield b"x" * 1024

    answer = await send(lambda request: httpx.Response(200, content=endless()))
    assert answer.outcome is Outcome.FAILED
    assert taken <= MAX_RESPONSE_BYTES + 1024


async def test_an_answer_that_drips_is_cut_by_the_clock() -> None:
    async def dripping() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.Event().wait()

    answer = await send(lambda request: httpx.Response(200, content=dripping()), timeout_s=0.05)
    assert answer == PartnerResponse(Outcome.FAILED, "TimeoutError")


@given(seconds=st.integers(0, 9_999_999))
def test_retry_after_is_read_as_seconds_or_as_a_date(seconds: int) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    wait = timedelta(seconds=seconds)
    assert parse_retry_after(str(seconds), at) == wait
    assert parse_retry_after((at + wait).strftime("%a, %d %b %Y %H:%M:%S GMT"), at) == wait


@given(st.text(max_size=20).filter(lambda text: not text.strip().isdigit()))
def test_what_cannot_be_read_asks_for_nothing(value: str) -> None:
    assert parse_retry_after(value, NOW) is None or parse_retry_after(value, NOW) >= timedelta(0)  # type: ignore[operator]


async def test_a_busy_partner_says_when_to_come_again() -> None:
    answer = await send(lambda request: httpx.Response(503, headers={"retry-after": "7"}))
    assert answer == PartnerResponse(Outcome.FAILED, "503", timedelta(seconds=7))


async def test_the_body_is_the_payload() -> None:
    def serve(request: httpx.Request) -> httpx.Response:
        assert msgspec.json.decode(request.content) == CALL.payload
        assert request.headers["content-type"] == "application/json"
        return httpx.Response(204)

    assert (await send(serve)).outcome is Outcome.ACCEPTED


async def test_what_the_contract_does_not_allow_is_not_sent() -> None:
    def serve(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request.content)

    for payload in ({"order_id": "o1"}, {**ORDER, "items": []}, {**ORDER, "colour": "red"}):
        given = await send(serve, call=replace(CALL, payload=payload))
        assert given == PartnerResponse(Outcome.FAILED, "not sent, not by the contract")
