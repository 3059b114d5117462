import logging
import subprocess
import sys
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

from codegen import contracts
from deploy.local.mesh_config import ROOT
from generated.problems import PROBLEMS, Reason
from services.runtime.core.errors import ApiError, FieldError
from services.runtime.core.json_schema import compile_schema, to_json_pointer
from services.runtime.core.principal import current_token
from services.runtime.rest import ProblemException
from services.runtime.rest.problem_details import build_problem_document, to_uri_reference
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

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}


@cache
def contract_of_problems() -> Any:
    """The schema `Problem` of the public API, its references followed."""
    schemas = contracts.load(ROOT).schemas("delivery")
    schema = {**schemas["Problem"], "$defs": schemas}
    schema["properties"] = {**schema["properties"], "errors": {"type": "array", "items": schemas["FieldError"]}}
    return compile_schema(schema)


def raising(error: Exception) -> RecordingThingsHandler:
    """A handler that fails so."""

    def fail() -> Never:
        raise error

    return RecordingThingsHandler(fail)


@pytest.fixture
def finished(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """The spans that were finished, by a provider that only this test has."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "tracer", provider.get_tracer("test"))
    return exporter


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_becomes_its_document(reason: Reason) -> None:
    answer = send_request(create_app(raising(ApiError(reason))), "GET", "/things/latest", headers=PARENT)
    made = assert_problem(answer, PROBLEMS[reason].status, reason)
    assert (made["title"], made["detail"]) == (PROBLEMS[reason].title, PROBLEMS[reason].description)
    assert (made["instance"], made["trace_id"]) == ("/api/v1/things/latest", TRACE)
    assert "errors" not in made
    assert ("www-authenticate" in answer.headers) == (answer.status_code == 401)
    assert answer.headers["cache-control"] == "no-store"


def test_a_refusal_carries_its_words_fields_and_headers() -> None:
    errors = (FieldError("/total_amount", "is 300"), FieldError("", "ü"))
    refusal = ApiError(Reason.TOTAL_MISMATCH, "The total is 300.", errors, retry_after=7, headers={"X-Hint": "again"})
    answer = send_request(create_app(raising(refusal)), "GET", "/things/latest")
    made = assert_problem(answer, 422, "TOTAL_MISMATCH")
    assert made["detail"] == "The total is 300."
    assert made["errors"] == [{"field": "/total_amount", "message": "is 300"}, {"field": "", "message": "ü"}]
    assert (answer.headers["retry-after"], answer.headers["x-hint"]) == ("7", "again")


def test_a_challenge_of_its_own_goes_before_the_common_one() -> None:
    refusal = ApiError(Reason.UNAUTHENTICATED, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
    answer = send_request(create_app(raising(refusal)), "GET", "/things/latest")
    assert answer.headers.get_list("www-authenticate") == ['Bearer error="invalid_token"']


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (HTTPException(404, "secret"), 404, "NOT_FOUND"),
        (HTTPException(405, "secret", {"Allow": "GET"}), 405, "METHOD_NOT_ALLOWED"),
        (ProblemException(status=400, detail="secret"), 400, "INVALID_REQUEST"),
        (HTTPException(418, "secret"), 500, "INTERNAL"),
    ],
)
def test_errors_of_the_frameworks_become_ours(error: Exception, status: int, reason: str) -> None:
    answer = send_request(create_app(raising(error)), "GET", "/things/latest")
    assert_problem(answer, status, reason)
    assert "secret" not in answer.text


def test_a_mistake_of_ours_is_logged_and_not_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        answer = send_request(
            create_app(raising(ZeroDivisionError("the password is hunter2"))), "GET", "/things/latest"
        )
    assert_problem(answer, 500, "INTERNAL")
    assert "hunter2" not in answer.text
    (record,) = caplog.records
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ZeroDivisionError)


def test_a_refusal_is_not_logged_as_a_mistake(caplog: pytest.LogCaptureFixture) -> None:
    send_request(create_app(raising(ApiError(Reason.ORDER_NOT_FOUND))), "GET", "/things/latest")
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_an_operation_for_users_needs_the_sidecars_word() -> None:
    things = RecordingThingsHandler(lambda: THING)
    assert_problem(
        send_request(create_app(things), "GET", "/things/a1", headers={"authorization": "Bearer a.b.c"}),
        401,
        "UNAUTHENTICATED",
    )
    assert things.calls == []


def test_the_principal_and_the_token_are_those_of_the_request() -> None:
    seen: list[str | None] = []
    things = RecordingThingsHandler(lambda: seen.append(current_token.get()))
    sent = build_identity_headers(role="admin", email="ada@example.com", email_verified=True)
    send_request(create_app(things), "DELETE", "/things/a1", headers=sent)
    principal = things.calls[0]["principal"]
    assert (principal.user_id, principal.role, principal.email_verified) == ("user-1", "admin", True)
    assert (principal.token, seen) == ("a.b.c", ["a.b.c"])
    assert "a.b.c" not in repr(principal)


def test_a_span_continues_the_callers_trace_under_the_operations_name(finished: InMemorySpanExporter) -> None:
    send_request(create_app(RecordingThingsHandler(lambda: THING)), "GET", "/things/latest", headers=PARENT)
    (span,) = finished.get_finished_spans()
    assert (span.name, span.kind) == ("getLatest", SpanKind.SERVER)
    assert span.context is not None
    assert f"{span.context.trace_id:032x}" == TRACE
    assert span.attributes is not None
    assert span.attributes["http.response.status_code"] == 200
    assert span.status.status_code is StatusCode.UNSET


@pytest.mark.parametrize(("reason", "failed"), [(Reason.INTERNAL, True), (Reason.ORDER_NOT_FOUND, False)])
def test_a_span_fails_by_what_is_ours(finished: InMemorySpanExporter, reason: Reason, failed: bool) -> None:
    answer = send_request(create_app(raising(ApiError(reason))), "GET", "/things/latest")
    (span,) = finished.get_finished_spans()
    assert span.context is not None
    assert answer.json()["trace_id"] == f"{span.context.trace_id:032x}"
    assert (span.status.status_code is StatusCode.ERROR) == failed


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(Reason), st.text(), st.lists(st.builds(FieldError, st.text(), st.text()), max_size=3))
def test_every_document_is_per_the_contract(reason: Reason, detail: str, errors: list[FieldError]) -> None:
    assert contract_of_problems().is_valid(build_problem_document(ApiError(reason, detail, errors), "/api/v1/orders"))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.integers(0, 99), st.text()), max_size=4))
def test_a_pointer_leads_back_to_its_parts(parts: list[int | str]) -> None:
    made = to_json_pointer(parts)
    back = [part.replace("~1", "/").replace("~0", "~") for part in made.split("/")[1:]]
    assert back == [str(part) for part in parts]


@pytest.mark.parametrize("name", ["a b", 'a"<', "é", "100%"])
def test_an_instance_is_a_uri_reference(name: str) -> None:
    answer = send_request(
        create_app(RecordingThingsHandler()), "GET", f"/things/{quote(name)}", headers=IDENTITY_HEADERS
    )
    assert answer.json()["instance"] == f"/api/v1/things/{quote(name)}"


@given(st.text(max_size=30).map("/{}".format))
def test_an_instance_is_a_path_that_leads_back(path: str) -> None:
    made = to_uri_reference(path)
    assert made.isascii()
    assert not set(made) & set(' "<>\\^`{|}?#')
    parts = urlsplit(made)
    assert (parts.scheme, parts.netloc, unquote(parts.path)) == ("", "", path)


def test_whoever_imports_the_package_is_spared_the_warnings_of_others() -> None:
    command = [sys.executable, "-W", "error", "-c", "import services.runtime.rest.types"]
    subprocess.run(command, cwd=ROOT, check=True, timeout=60)
