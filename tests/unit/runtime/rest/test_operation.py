"""Compiled operations: identity, webhook headers, deadlines and order of checks, through the sample API."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegen.rest.published_openapi import publish_document
from generated.problems import Reason
from services.runtime.core.errors import ApiError
from services.runtime.core.principal import Principal, current_token
from services.runtime.outbound.webhooks import SignedRequest
from services.runtime.rest.app import build_app
from services.runtime.rest.operation import get_header, parse_principal, parse_signed_request
from services.runtime.rest.types import Event
from services.runtime.rpc.deadline import compute_effective_timeout_s
from tests.sample_rest_app import (
    IDENTITY_HEADERS,
    OPERATIONS,
    SPECIFICATION,
    THING,
    WEBHOOK_HEADERS,
    RecordingThingsHandler,
    Thing,
    assert_problem,
    build_identity_headers,
    create_app,
    send_request,
)

RAW_IDENTITY = [(name.encode(), value.encode()) for name, value in IDENTITY_HEADERS.items()]
RAW_WEBHOOK = [(name.encode(), value.encode()) for name, value in WEBHOOK_HEADERS.items()]


def test_first_header_with_the_name_is_returned() -> None:
    headers = [(b"a", b"1"), (b"b", b"2"), (b"a", b"3")]
    assert get_header(headers, b"a") == b"1"
    assert get_header(headers, b"c") is None


def test_principal_is_parsed_with_its_token() -> None:
    principal = parse_principal(RAW_IDENTITY)
    assert (principal.user_id, principal.token) == ("user-1", "a.b.c")
    assert principal.expires_at == datetime.fromtimestamp(2_000_000_000, UTC)
    assert current_token.get() == "a.b.c"


def test_request_without_verified_payload_is_unauthenticated() -> None:
    with pytest.raises(ApiError) as raised:
        parse_principal([(b"authorization", b"Bearer a.b.c")])
    assert raised.value.reason is Reason.UNAUTHENTICATED


def test_malformed_payload_is_an_error_of_the_sidecar() -> None:
    response = send_request(
        create_app(RecordingThingsHandler()), "DELETE", "/things/a1", headers={"x-jwt-payload": "?"}
    )
    assert_problem(response, 500, "INTERNAL")


@pytest.mark.parametrize(
    "claims", [{"exp": 2e9 + 0.5}, {"exp": 2**60}, {"email": 1}, {"role": ["admin"]}, {"sub": "u" * 900}]
)
def test_token_with_unexpected_claims_is_unauthenticated(claims: dict[str, Any]) -> None:
    things = RecordingThingsHandler()
    response = send_request(create_app(things), "DELETE", "/things/a1", headers=build_identity_headers(**claims))
    assert_problem(response, 401, "UNAUTHENTICATED")
    assert things.calls == []


class FakeTokenRevocations:
    """Revocations of every token: before a request, or only while its events are streamed."""

    def __init__(self, *, is_revoked_before: bool) -> None:
        self._is_revoked_before = is_revoked_before

    async def require_valid(self, principal: Principal) -> None:
        assert principal.user_id == "user-1"
        if self._is_revoked_before:
            raise ApiError(Reason.TOKEN_REVOKED)

    @contextmanager
    def watch(self, principal: Principal) -> Iterator[asyncio.Future[None]]:
        revoked = asyncio.get_running_loop().create_future()
        revoked.set_result(None)
        yield revoked


def test_revoked_token_is_rejected_before_the_handler() -> None:
    things = RecordingThingsHandler()
    app = create_app(things, token_revocations=FakeTokenRevocations(is_revoked_before=True))
    response = send_request(app, "DELETE", "/things/a1", headers=dict(IDENTITY_HEADERS))
    assert_problem(response, 401, "TOKEN_REVOKED")
    assert things.calls == []
    assert send_request(app, "GET", "/things").status_code == 204


@pytest.mark.timeout(10)
def test_event_stream_ends_with_revocation_of_token() -> None:
    async def wait_forever() -> AsyncIterator[Event[Thing]]:
        await asyncio.Event().wait()
        yield Event("1", THING)

    app = create_app(
        RecordingThingsHandler(wait_forever), token_revocations=FakeTokenRevocations(is_revoked_before=False)
    )
    response = send_request(app, "GET", "/things/a1/events", headers=dict(IDENTITY_HEADERS))
    assert_problem(response, 401, "TOKEN_REVOKED")


def test_signed_request_contains_headers_and_raw_body() -> None:
    assert parse_signed_request(RAW_WEBHOOK, b"{ }") == SignedRequest("msg_1", "1700000000", "v1,c2ln", b"{ }")


@pytest.mark.parametrize("name", WEBHOOK_HEADERS)
@pytest.mark.parametrize("value", [None, b"", b"x" * 1025, b"\xff"])
def test_missing_or_malformed_webhook_header_is_empty(name: str, value: bytes | None) -> None:
    headers = [each for each in RAW_WEBHOOK if each[0] != name.encode()]
    headers += [] if value is None else [(name.encode(), value)]
    expected = SignedRequest("msg_1", "1700000000", "v1,c2ln", b"{ }")
    assert parse_signed_request(headers, b"{ }") == expected._replace(**{name.removeprefix("webhook-"): ""})


@given(st.lists(st.tuples(st.sampled_from([*WEBHOOK_HEADERS]).map(str.encode), st.binary(max_size=20)), max_size=5))
def test_any_webhook_headers_are_parsed(headers: list[tuple[bytes, bytes]]) -> None:
    assert all(text.isascii() for text in parse_signed_request(headers, b"")[:3])


def test_callback_passes_on_the_body_as_received() -> None:
    things = RecordingThingsHandler()
    headers = WEBHOOK_HEADERS | {"content-type": "application/json"}
    response = send_request(
        create_app(things), "POST", "/callbacks/a1", headers=headers, content=b'{"id": "x",  "n": 1.0}'
    )
    assert response.status_code == 202
    (call,) = things.calls
    assert call["webhook"].body == b'{"id": "x",  "n": 1.0}'
    assert call["thing_id"] == "a1"


def test_callback_without_signature_headers_is_passed_on_unsigned() -> None:
    """The service reports an invalid body first, then the missing signature."""
    things = RecordingThingsHandler()
    assert send_request(create_app(things), "POST", "/callbacks/a1", json={"id": "x"}).status_code == 202
    assert things.calls[0]["webhook"] == SignedRequest("", "", "", b'{"id":"x"}')


@pytest.mark.parametrize(
    ("header", "expected_s"), [("1500", 1.5), ("0", 0), ("-1", None), ("1.5", None), ("soon", None), (None, None)]
)
def test_deadline_is_the_timeout_of_the_sidecar(header: str | None, expected_s: float | None) -> None:
    timeouts: list[float | None] = []
    things = RecordingThingsHandler(lambda: timeouts.append(compute_effective_timeout_s()))
    headers = dict(IDENTITY_HEADERS) | ({} if header is None else {"x-envoy-expected-rq-timeout-ms": header})
    send_request(create_app(things), "DELETE", "/things/a1", headers=headers)
    (timeout_s,) = timeouts
    assert timeout_s == (None if expected_s is None else pytest.approx(expected_s, abs=0.5))


def test_unauthenticated_request_is_rejected_before_its_body_is_read() -> None:
    things = RecordingThingsHandler(lambda: THING)
    response = send_request(create_app(things), "POST", "/things", content=b"{")
    assert_problem(response, 401, "UNAUTHENTICATED")


def test_media_type_is_checked_before_parameters() -> None:
    response = send_request(
        create_app(RecordingThingsHandler(lambda: THING)),
        "POST",
        "/things",
        headers=dict(IDENTITY_HEADERS) | {"content-type": "text/plain", "idempotency-key": " "},
        content=b"x",
    )
    assert_problem(response, 415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(("reason", "status"), [(Reason.FORBIDDEN, 403), (Reason.NOT_FOUND, 500)])
def test_error_with_unpublished_reason_violates_the_contract(reason: Reason, status: int) -> None:
    document = publish_document(SPECIFICATION)
    document["paths"]["/things/latest"]["get"]["x-reasons"] = ["FORBIDDEN"]

    def respond() -> Thing:
        raise ApiError(reason)

    app = build_app(document, [RecordingThingsHandler(respond)], OPERATIONS, {}, {}, validate_responses=True)
    assert_problem(send_request(app, "GET", "/things/latest"), status, reason if status != 500 else "INTERNAL")
