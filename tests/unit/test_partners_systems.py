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

from services.partners.domain import Partner
from services.partners.retries import Answer, Call, CallKind, CallState, Verdict
from services.partners.systems import MAX_ANSWER, HttpPartnerSystem, judge, retry_after
from services.partners.usecases.secrets import new_secret
from services.runtime import webhooks
from services.runtime.refusal import Refusal
from services.runtime.vault import Vault
from services.runtime.webhooks import SignedRequest

NOW = datetime.now(UTC)
VAULT = Vault(Fernet.generate_key().decode())
OLD, NEW = new_secret(), new_secret()
PARTNER = Partner(
    7, "Green Bowl", "B", "+1", "b@delivery.test", "1 Square", "http://kitchen.test/api/", True, True, VAULT.lock(NEW)
)
ORDER = {
    "order_id": "o1",
    "items": [{"product_id": 1, "title": "Soup", "quantity": 2}],
    "callback_url": "http://edge.test/ready",
}
CALL = Call("e1", 7, "o1", CallKind.ORDER, ORDER, {}, CallState.WAITING, 1, NOW, NOW)

type Serve = Callable[[httpx.Request], httpx.Response]


async def send(serve: Serve, partner: Partner = PARTNER, call: Call = CALL, timeout_s: float = 5) -> Answer:
    def unread(request: httpx.Request) -> httpx.Response:
        """The answer as it comes from a network, which nobody has read yet."""
        answer = serve(request)
        if not answer.is_stream_consumed:
            return answer
        return httpx.Response(answer.status_code, headers=answer.headers, stream=httpx.ByteStream(answer.content))

    async with httpx.AsyncClient(transport=httpx.MockTransport(unread)) as client:
        return await HttpPartnerSystem(client, VAULT, lambda: NOW, timeout_s).send(partner, call)


def request_of(request: httpx.Request) -> SignedRequest:
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
        assert await send(serve, call=replace(CALL, kind=kind)) == Answer(Verdict.TAKEN, "204")
    assert [(one.method, one.url.path) for one in seen] == [("POST", path)] * 2
    assert [one.headers["webhook-id"] for one in seen] == ["e1"] * 2
    webhooks.verify(request_of(seen[0]), [NEW])


async def test_both_secrets_sign_until_the_old_one_has_run_out() -> None:
    def serve(request: httpx.Request) -> httpx.Response:
        for secret, good in expected.items():
            try:
                webhooks.verify(request_of(request), [secret])
            except Refusal:
                assert not good
            else:
                assert good
        return httpx.Response(204)

    rotated = replace(PARTNER, old_secret=VAULT.lock(OLD), old_secret_until=NOW + timedelta(seconds=1))
    expected = {NEW: True, OLD: True}
    assert (await send(serve, rotated)).verdict is Verdict.TAKEN
    expected = {NEW: True, OLD: False}
    assert (await send(serve, replace(rotated, old_secret_until=NOW))).verdict is Verdict.TAKEN


@pytest.mark.parametrize(
    ("answer", "verdict", "words"),
    [
        (httpx.Response(204), Verdict.TAKEN, "204"),
        (httpx.Response(200, json={"order_id": "o1", "seats": 4}), Verdict.TAKEN, "200"),
        (httpx.Response(200, json={"order_id": "o2"}), Verdict.FAILED, "200, not by the contract"),
        (httpx.Response(200, json={}), Verdict.FAILED, "200, not by the contract"),
        (httpx.Response(200, html="<h1>It works!</h1>"), Verdict.FAILED, "200, not by the contract"),
        (httpx.Response(200, content=b"\xff"), Verdict.FAILED, "200, not by the contract"),
        (httpx.Response(200, content=b'{"order_id": "o1"}'), Verdict.FAILED, "200, not by the contract"),
        (httpx.Response(202), Verdict.FAILED, "202, not by the contract"),
        (httpx.Response(301, headers={"location": "http://127.0.0.1:9901/"}), Verdict.FAILED, "301, a redirect"),
        (httpx.Response(307, headers={"location": "/elsewhere"}), Verdict.FAILED, "307, a redirect"),
        (httpx.Response(400), Verdict.FAILED, "400"),
        (httpx.Response(401), Verdict.FAILED, "401"),
        (httpx.Response(404), Verdict.FAILED, "404"),
        (httpx.Response(410), Verdict.GONE, "410"),
        (httpx.Response(422), Verdict.REFUSED, "422"),
        (httpx.Response(500), Verdict.FAILED, "500"),
    ],
)
async def test_only_answers_of_the_contract_count(answer: httpx.Response, verdict: Verdict, words: str) -> None:
    given = await send(lambda request: answer)
    assert given.verdict is verdict
    assert given.words.startswith(words)


@given(status=st.integers(200, 599), body=st.binary(max_size=50))
def test_no_other_answer_takes_an_order(status: int, body: bytes) -> None:
    answer = judge(httpx.Response(status), body, "o1", NOW)
    assert (answer.verdict is Verdict.TAKEN) == (status == 204)


@pytest.mark.parametrize("error", [httpx.ConnectError("x"), httpx.ReadTimeout("x"), httpx.RemoteProtocolError("x")])
async def test_what_the_network_does_is_an_answer_too(error: httpx.HTTPError) -> None:
    def serve(request: httpx.Request) -> httpx.Response:
        raise error

    assert await send(serve) == Answer(Verdict.FAILED, type(error).__name__)


async def test_an_answer_without_end_is_cut() -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1024
            yield b"x" * 1024

    answer = await send(lambda request: httpx.Response(200, content=endless()))
    assert answer.verdict is Verdict.FAILED
    assert taken <= MAX_ANSWER + 1024


async def test_an_answer_that_drips_is_cut_by_the_clock() -> None:
    async def dripping() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.Event().wait()

    answer = await send(lambda request: httpx.Response(200, content=dripping()), timeout_s=0.05)
    assert answer == Answer(Verdict.FAILED, "TimeoutError")


@given(seconds=st.integers(0, 9_999_999))
def test_retry_after_is_read_as_seconds_or_as_a_date(seconds: int) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    wait = timedelta(seconds=seconds)
    assert retry_after(str(seconds), at) == wait
    assert retry_after((at + wait).strftime("%a, %d %b %Y %H:%M:%S GMT"), at) == wait


@given(st.text(max_size=20).filter(lambda text: not text.strip().isdigit()))
def test_what_cannot_be_read_asks_for_nothing(value: str) -> None:
    assert retry_after(value, NOW) is None or retry_after(value, NOW) >= timedelta(0)  # type: ignore[operator]


async def test_a_busy_partner_says_when_to_come_again() -> None:
    answer = await send(lambda request: httpx.Response(503, headers={"retry-after": "7"}))
    assert answer == Answer(Verdict.FAILED, "503", timedelta(seconds=7))


async def test_the_body_is_the_payload() -> None:
    def serve(request: httpx.Request) -> httpx.Response:
        assert msgspec.json.decode(request.content) == CALL.payload
        assert request.headers["content-type"] == "application/json"
        return httpx.Response(204)

    assert (await send(serve)).verdict is Verdict.TAKEN


async def test_what_the_contract_does_not_allow_is_not_sent() -> None:
    def serve(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request.content)

    for payload in ({"order_id": "o1"}, {**ORDER, "items": []}, {**ORDER, "colour": "red"}):
        given = await send(serve, call=replace(CALL, payload=payload))
        assert given == Answer(Verdict.FAILED, "not sent, not by the contract")
