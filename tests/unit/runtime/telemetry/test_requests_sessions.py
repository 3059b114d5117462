"""Telemetry of sessions of `requests`, with a fake adapter in place of the network."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from requests.adapters import BaseAdapter

from services.runtime.telemetry import tracing
from services.runtime.telemetry.http_client import DURATION
from services.runtime.telemetry.requests_sessions import bind_context, measure_requests
from tests.unit.runtime.telemetry.conventions import HTTP_CLIENT, assert_conforms, list_attributes

URL = "https://storage.test/storage/v1/b/delivery/o/pictures%2Fuser?key=secret"


class FakeAdapter(BaseAdapter):
    """Returns the status, or raises the error, and records the options of requests."""

    def __init__(self, outcome: int | Exception) -> None:
        super().__init__()
        self.outcome = outcome
        self.options: list[dict[str, Any]] = []
        self.is_closed = False

    def send(self, request: requests.PreparedRequest, *_: Any, **options: Any) -> requests.Response:
        self.options.append(options)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        response = requests.Response()
        response.status_code = self.outcome
        response.request = request
        response.raw = None
        response._content = b""
        return response

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def adapter() -> FakeAdapter:
    return FakeAdapter(200)


@pytest.fixture
def session(adapter: FakeAdapter) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        session.mount("https://", adapter)
        measure_requests(session)
        yield session
    assert adapter.is_closed


def test_request_is_measured_and_sent_through_the_adapter(session: requests.Session, adapter: FakeAdapter) -> None:
    (attributes,) = list_attributes(DURATION, lambda: session.get(URL, timeout=3))
    assert attributes == {
        "http.request.method": "GET",
        "server.address": "storage.test",
        "server.port": 443,
        "http.response.status_code": 200,
    }
    assert [options["timeout"] for options in adapter.options] == [3]


def test_failed_request_is_measured_with_its_error(session: requests.Session, adapter: FakeAdapter) -> None:
    adapter.outcome = requests.ConnectTimeout()

    def get() -> None:
        with pytest.raises(requests.ConnectTimeout):
            session.get(URL)

    (attributes,) = list_attributes(DURATION, get)
    assert attributes["error.type"] == "ConnectTimeout"
    assert "http.response.status_code" not in attributes


def test_adapters_keep_their_prefixes(session: requests.Session) -> None:
    prefixes = list(session.adapters)
    measure_requests(session)
    assert list(session.adapters) == prefixes


def test_call_in_a_thread_records_attributes_in_the_span(
    exporter: InMemorySpanExporter, session: requests.Session, adapter: FakeAdapter
) -> None:
    adapter.outcome = 404
    with ThreadPoolExecutor(1) as executor:
        executor.submit(lambda: None).result()  # the thread exists before the span
        with tracing.start_span("storage get", SpanKind.CLIENT):
            executor.submit(bind_context(lambda: session.get(URL))).result()
    (span,) = exporter.get_finished_spans()
    assert span.attributes is not None
    assert_conforms(HTTP_CLIENT, span.attributes)
    assert span.attributes == {
        "http.request.method": "GET",
        "server.address": "storage.test",
        "server.port": 443,
        "url.full": "https://storage.test/REDACTED",
        "http.response.status_code": 404,
    }
    assert span.status.is_unset  # the operation decides whether a status is an error
