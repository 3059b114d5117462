import asyncio
import logging
import subprocess
import sys
from datetime import timedelta
from functools import cache
from typing import Any, Never
from urllib.parse import quote, unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from codegen import contracts
from deploy.local.mesh_config import ROOT
from generated.problems import PROBLEMS, Reason
from services.runtime.core.errors import ApiError, FieldError, ReauthenticationRequiredError
from services.runtime.core.json_schema import compile_schema
from services.runtime.core.localisation import LANGUAGES
from services.runtime.core.principal import current_token
from services.runtime.rest import ProblemException
from services.runtime.rest.problem_details import ProblemDetailsMiddleware, build_problem_document, to_uri_reference
from services.runtime.telemetry import tracing
from tests.sample_rest_app import (
    IDENTITY_HEADERS,
    THING,
    RecordingThingsHandler,
    assert_problem,
    build_identity_headers,
    create_app,
    send_request,
)

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
PARENT_HEADERS = {"traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-01"}


@cache
def problem_validator() -> Any:
    """Return a validator of the public API's schema `Problem` with resolved references."""
    schemas = contracts.load(ROOT).get_schemas("delivery")
    schema = {**schemas["Problem"], "$defs": schemas}
    schema["properties"] = {**schema["properties"], "errors": {"type": "array", "items": schemas["FieldError"]}}
    return compile_schema(schema)


def failing_handler(error: Exception) -> RecordingThingsHandler:
    """Return a handler that raises the error."""

    def fail() -> Never:
        raise error

    return RecordingThingsHandler(fail)


@pytest.fixture
def span_exporter(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """Exporter of the spans finished during the test."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "tracer", provider.get_tracer("test"))
    return exporter


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_is_encoded_as_its_problem(reason: Reason) -> None:
    response = send_request(
        create_app(failing_handler(ApiError(reason))), "GET", "/things/latest", headers=PARENT_HEADERS
    )
    document = assert_problem(response, PROBLEMS[reason].status, reason)
    assert (document["title"], document["detail"]) == (PROBLEMS[reason].title, PROBLEMS[reason].detail["en"])
    assert (document["instance"], document["trace_id"]) == ("/api/v1/things/latest", TRACE_ID)
    assert "errors" not in document
    assert ("www-authenticate" in response.headers) == (response.status_code == 401)
    assert response.headers["cache-control"] == "no-store"


def test_problem_has_detail_errors_and_headers_of_error() -> None:
    errors = (FieldError("/total_amount", "is 300"), FieldError("", "ü"))
    error = ApiError(Reason.TOTAL_MISMATCH, "The total is 300.", errors, retry_after=7, headers={"X-Hint": "retry"})
    response = send_request(create_app(failing_handler(error)), "GET", "/things/latest")
    document = assert_problem(response, 422, "TOTAL_MISMATCH")
    assert document["detail"] == "The total is 300."
    assert document["errors"] == [{"field": "/total_amount", "message": "is 300"}, {"field": "", "message": "ü"}]
    assert (response.headers["retry-after"], response.headers["x-hint"]) == ("7", "retry")


@pytest.mark.parametrize(
    ("accept_language", "amount", "currency", "language", "detail"),
    [
        ("", 200, "USD", "en", "At the partner's current prices, the total is $2.00."),
        ("de-AT, en;q=0.5", 200, "USD", "de", "Zu den aktuellen Preisen des Partners beträgt die Summe 2,00\xa0$."),
        ("fr, en;q=0.1", 1500, "JPY", "en", "At the partner's current prices, the total is ¥1,500."),
        ("de", 1234, "KWD", "de", "Zu den aktuellen Preisen des Partners beträgt die Summe 1,234\xa0KWD."),
    ],
)
def test_detail_is_sentence_in_accepted_language(
    accept_language: str, amount: int, currency: str, language: str, detail: str
) -> None:
    errors = (FieldError("/total_amount", "does not match the partner's current prices"),)
    members = {"total_amount": amount, "currency": currency}
    error = ApiError(Reason.TOTAL_MISMATCH, errors=errors, members=members)
    headers = {"accept-language": accept_language} if accept_language else {}
    response = send_request(create_app(failing_handler(error)), "GET", "/things/latest", headers=headers)
    document = assert_problem(response, 422, "TOTAL_MISMATCH")
    assert (document["detail"], response.headers["content-language"]) == (detail, language)
    assert (document["total_amount"], document["currency"]) == (amount, currency)
    assert ("entspricht" in document["errors"][0]["message"]) == (language == "de")
    assert response.headers["vary"] == "Accept-Language"


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_plain_sentence_in_every_language(reason: Reason) -> None:
    for texts in (PROBLEMS[reason].detail, PROBLEMS[reason].detail_with_values or PROBLEMS[reason].detail):
        assert texts.keys() == set(LANGUAGES)
        for text in texts.values():
            assert text[0].isupper()
            assert text.endswith(".")
            assert not set(text) & set("`^$_") - ({"_"} if "{" in text else set())
    assert PROBLEMS[reason].detail["de"] != PROBLEMS[reason].detail["en"]


def test_untranslated_detail_falls_back_to_catalogue() -> None:
    error = ApiError(Reason.PICTURE_REFUSED, "No translation of this sentence exists.")
    app = create_app(failing_handler(error))
    response = send_request(app, "GET", "/things/latest", headers={"accept-language": "de"})
    assert response.json()["detail"] == "Dieses Bild kann nicht verwendet werden."


@pytest.mark.parametrize(
    ("error", "challenge"),
    [
        (ApiError(Reason.CREDENTIALS_INVALID), "Bearer"),
        (ApiError(Reason.PROVIDER_TOKEN_INVALID), "Bearer"),
        (
            ApiError(Reason.TOKEN_REVOKED),
            'Bearer error="invalid_token", error_description="The token is revoked."',
        ),
        (
            ReauthenticationRequiredError(timedelta(minutes=5)),
            'Bearer error="insufficient_user_authentication", max_age=300',
        ),
    ],
)
def test_challenge_states_how_to_authenticate(error: ApiError, challenge: str) -> None:
    response = send_request(create_app(failing_handler(error)), "GET", "/things/latest")
    assert response.headers.get_list("www-authenticate") == [challenge]


def test_custom_www_authenticate_replaces_default() -> None:
    error = ApiError(Reason.UNAUTHENTICATED, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
    response = send_request(create_app(failing_handler(error)), "GET", "/things/latest")
    assert response.headers.get_list("www-authenticate") == ['Bearer error="invalid_token"']


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (HTTPException(404, "secret"), 404, "NOT_FOUND"),
        (HTTPException(405, "secret", {"Allow": "GET"}), 405, "METHOD_NOT_ALLOWED"),
        (ProblemException(status=400, detail="secret"), 400, "INVALID_REQUEST"),
        (HTTPException(418, "secret"), 500, "INTERNAL"),
    ],
)
def test_framework_error_is_mapped_to_problem(error: Exception, status: int, reason: str) -> None:
    response = send_request(create_app(failing_handler(error)), "GET", "/things/latest")
    assert_problem(response, status, reason)
    assert "secret" not in response.text


def test_unexpected_error_is_logged_and_hidden_from_client(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        response = send_request(
            create_app(failing_handler(ZeroDivisionError("the password is hunter2"))), "GET", "/things/latest"
        )
    assert_problem(response, 500, "INTERNAL")
    assert "hunter2" not in response.text
    (record,) = caplog.records
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ZeroDivisionError)


@pytest.mark.parametrize(("is_started", "statuses"), [(False, [503, None]), (True, [200])])
async def test_cancellation_is_raised_after_the_problem(*, is_started: bool, statuses: list[int | None]) -> None:
    """A cancellation that is not raised would let the caller of the application continue."""
    messages: list[Message] = []

    async def cancel(scope: Scope, receive: Receive, send: Send) -> None:
        if is_started:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise asyncio.CancelledError

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        messages.append(message)

    with pytest.raises(asyncio.CancelledError):
        await ProblemDetailsMiddleware(cancel)(
            {"type": "http", "method": "GET", "path": "/", "headers": []}, receive, send
        )
    assert [message.get("status") for message in messages] == statuses


def test_api_error_is_not_logged_as_error(caplog: pytest.LogCaptureFixture) -> None:
    send_request(create_app(failing_handler(ApiError(Reason.ORDER_NOT_FOUND))), "GET", "/things/latest")
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_operation_with_bearer_requires_sidecar_payload() -> None:
    things = RecordingThingsHandler(lambda: THING)
    assert_problem(
        send_request(create_app(things), "GET", "/things/a1", headers={"authorization": "Bearer a.b.c"}),
        401,
        "UNAUTHENTICATED",
    )
    assert things.calls == []


def test_principal_and_token_are_those_of_request() -> None:
    tokens: list[str | None] = []
    things = RecordingThingsHandler(lambda: tokens.append(current_token.get()))
    headers = build_identity_headers(role="admin", email="ada@example.com", email_verified=True)
    send_request(create_app(things), "DELETE", "/things/a1", headers=headers)
    principal = things.calls[0]["principal"]
    assert (principal.user_id, principal.role, principal.email_verified) == ("user-1", "admin", True)
    assert (principal.token, tokens) == ("a.b.c", ["a.b.c"])
    assert "a.b.c" not in repr(principal)


def test_span_continues_trace_and_has_operation_name(span_exporter: InMemorySpanExporter) -> None:
    send_request(create_app(RecordingThingsHandler(lambda: THING)), "GET", "/things/latest", headers=PARENT_HEADERS)
    (span,) = span_exporter.get_finished_spans()
    assert (span.name, span.kind) == ("getLatest", SpanKind.SERVER)
    assert span.context is not None
    assert f"{span.context.trace_id:032x}" == TRACE_ID
    assert span.attributes is not None
    assert span.attributes["http.response.status_code"] == 200
    assert span.status.status_code is StatusCode.UNSET


@pytest.mark.parametrize(("reason", "is_error"), [(Reason.INTERNAL, True), (Reason.ORDER_NOT_FOUND, False)])
def test_span_has_error_status_for_server_errors_only(
    span_exporter: InMemorySpanExporter, reason: Reason, is_error: bool
) -> None:
    response = send_request(create_app(failing_handler(ApiError(reason))), "GET", "/things/latest")
    (span,) = span_exporter.get_finished_spans()
    assert span.context is not None
    assert response.json()["trace_id"] == f"{span.context.trace_id:032x}"
    assert (span.status.status_code is StatusCode.ERROR) == is_error


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(Reason), st.text(), st.lists(st.builds(FieldError, st.text(), st.text()), max_size=3))
def test_any_problem_is_valid_against_schema(reason: Reason, detail: str, errors: list[FieldError]) -> None:
    assert problem_validator().is_valid(build_problem_document(ApiError(reason, detail, errors), "/api/v1/orders"))


@pytest.mark.parametrize("name", ["a b", 'a"<', "é", "100%"])
def test_instance_is_uri_reference(name: str) -> None:
    response = send_request(
        create_app(RecordingThingsHandler()), "GET", f"/things/{quote(name)}", headers=IDENTITY_HEADERS
    )
    assert response.json()["instance"] == f"/api/v1/things/{quote(name)}"


@given(st.text(max_size=30).map("/{}".format))
def test_uri_reference_decodes_to_path(path: str) -> None:
    reference = to_uri_reference(path)
    assert reference.isascii()
    assert not set(reference) & set(' "<>\\^`{|}?#')
    parts = urlsplit(reference)
    assert (parts.scheme, parts.netloc, unquote(parts.path)) == ("", "", path)


def test_import_of_package_emits_no_warnings() -> None:
    command = [sys.executable, "-W", "error", "-c", "import services.runtime.rest.types"]
    subprocess.run(command, cwd=ROOT, check=True, timeout=60)
