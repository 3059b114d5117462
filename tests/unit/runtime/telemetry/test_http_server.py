"""Attributes of HTTP requests, compared with OpenTelemetry's semantic conventions."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.types import Message

from generated.problems import Reason
from services.runtime.core.errors import ApiError
from services.runtime.rest.types import Event
from services.runtime.telemetry import http_server
from tests.sample_rest_app import IDENTITY_HEADERS, THING, RecordingThingsHandler, Thing, create_app, send_request
from tests.unit.runtime.telemetry.conventions import (
    ERROR,
    HTTP_SERVER,
    HTTP_SERVER_SPAN,
    Attributes,
    assert_conforms,
    list_attributes,
)

MATCHED = {"operation": "getLatest", "http.route": "/api/v1/things/latest"}
UNMATCHED = {"operation": "other"}


@pytest.mark.parametrize(
    ("method", "path", "error", "headers", "expected"),
    [
        ("GET", "/things/latest", None, {}, MATCHED | {"http.response.status_code": 200}),
        ("GET", "/things/latest", None, {"x-forwarded-proto": "https"}, MATCHED | {"http.response.status_code": 200}),
        ("HEAD", "/things/latest", None, {}, MATCHED | {"http.response.status_code": 200}),
        ("GET", "/things/latest", Reason.ORDER_NOT_FOUND, {}, MATCHED | {"http.response.status_code": 404}),
        ("GET", "/things/latest", Reason.INTERNAL, {}, MATCHED | {"http.response.status_code": 500, ERROR: "500"}),
        ("GET", "/secret", None, {}, UNMATCHED | {"http.response.status_code": 404}),
        ("SECRET", "/secret", None, {}, UNMATCHED | {"http.response.status_code": 404}),
    ],
)
def test_http_request_has_attributes_of_the_convention(
    exporter: InMemorySpanExporter,
    method: str,
    path: str,
    error: Reason | None,
    headers: dict[str, str],
    expected: Attributes,
) -> None:
    def handle() -> Any:
        if error is not None:
            raise ApiError(error)
        return THING

    app = create_app(RecordingThingsHandler(handle))
    (attributes,) = list_attributes(http_server.DURATION, lambda: send_request(app, method, path, headers=headers))
    assert_conforms(HTTP_SERVER, attributes)
    assert attributes == expected | {
        "http.request.method": "_OTHER" if method == "SECRET" else method,
        "url.scheme": headers.get("x-forwarded-proto", "http"),
    }
    (span,) = exporter.get_finished_spans()
    assert span.attributes is not None
    assert_conforms(HTTP_SERVER_SPAN, span.attributes)
    recorded = {name: value for name, value in attributes.items() if name != "operation"}
    assert span.attributes == recorded | {"url.path": attributes.get("http.route", "REDACTED")}
    assert "secret" not in span.to_json().lower()


def test_request_without_response_has_error_type_and_no_status() -> None:
    async def wait() -> AsyncIterator[Event[Thing]]:
        await asyncio.Event().wait()
        yield Event("", THING)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        raise AssertionError(message)

    headers = [(name.encode(), value.encode()) for name, value in IDENTITY_HEADERS.items()]
    path = {"path": "/api/v1/things/a1/events", "query_string": b""}
    scope = {"type": "http", "method": "GET", "headers": headers, **path}

    async def request() -> None:
        await create_app(RecordingThingsHandler(wait))(scope, receive, send)

    (attributes,) = list_attributes(http_server.DURATION, lambda: asyncio.run(request()))
    assert_conforms(HTTP_SERVER, attributes)
    assert "http.response.status_code" not in attributes
    assert attributes[ERROR] == "client_disconnected"
