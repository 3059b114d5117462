"""Durations of HTTP requests to other systems, and their attributes in spans."""

from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import INVALID_SPAN, SpanKind

from services.runtime.telemetry import http_client, tracing
from services.runtime.telemetry.http_client import DURATION, Measurement
from services.runtime.telemetry.metrics import BoundedLabel
from tests.unit.runtime.telemetry.conventions import (
    HTTP_CLIENT,
    HTTP_CLIENT_METRIC,
    assert_conforms,
    list_attributes,
)

URL = httpx.URL("https://user:secret@bank.test/visa/refunds?key=secret")


def measure(status: int | None, error: Exception | None = None, url: httpx.URL = URL) -> Any:
    """Return the attributes of a measured request."""

    def run() -> None:
        try:
            with Measurement("POST", url) as measurement:
                measurement.status = status
                if error is not None:
                    raise error
        except TimeoutError:
            pass

    (attributes,) = list_attributes(DURATION, run)
    return attributes


@pytest.fixture(autouse=True)
def isolated_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "_servers", BoundedLabel(http_client.MAX_SERVERS))


@pytest.mark.parametrize(
    ("status", "error", "outcome"),
    [
        (204, None, {"http.response.status_code": 204}),
        (404, None, {"http.response.status_code": 404, "error.type": "404"}),
        (503, None, {"http.response.status_code": 503, "error.type": "503"}),
        (None, TimeoutError(), {"error.type": "TimeoutError"}),
        (200, TimeoutError(), {"http.response.status_code": 200, "error.type": "TimeoutError"}),
    ],
)
def test_duration_has_attributes_of_the_convention(
    status: int | None, error: Exception | None, outcome: dict[str, Any]
) -> None:
    attributes = measure(status, error)
    assert_conforms(HTTP_CLIENT_METRIC, attributes)
    server = {"http.request.method": "POST", "server.address": "bank.test", "server.port": 443}
    assert attributes == server | outcome


def test_servers_above_the_maximum_share_one_series() -> None:
    for number in range(http_client.MAX_SERVERS):
        url = httpx.URL(f"http://bank{number}.test:8090/")
        attributes = measure(200, url=url)
        assert (attributes["server.address"], attributes["server.port"]) == (f"bank{number}.test", 8090)
    assert measure(200, url=httpx.URL("http://bank0.test:8090/"))["server.address"] == "bank0.test"
    attributes = measure(200, url=httpx.URL("http://bank0.test:8091/"))
    assert (attributes["server.address"], attributes["server.port"]) == ("other", 0)


@pytest.mark.parametrize(("status", "recorded"), [(200, {"http.response.status_code": 200}), (None, {})])
def test_span_of_measurement_has_a_redacted_path(
    exporter: InMemorySpanExporter, status: int | None, recorded: dict[str, int]
) -> None:
    with tracing.start_span("send", SpanKind.CLIENT) as span, Measurement("POST", URL, span) as measurement:
        measurement.status = status
    (finished,) = exporter.get_finished_spans()
    assert finished.attributes is not None
    assert_conforms(HTTP_CLIENT, finished.attributes)
    assert finished.attributes == recorded | {
        "http.request.method": "POST",
        "server.address": "bank.test",
        "server.port": 443,
        "url.full": "https://bank.test/REDACTED",
    }


def test_ended_span_receives_no_attributes(exporter: InMemorySpanExporter, caplog: pytest.LogCaptureFixture) -> None:
    """A call that runs in a thread may end after its span, because of the call's timeout."""
    with tracing.start_span("send", SpanKind.CLIENT) as span:
        pass
    with Measurement("POST", URL, span), Measurement("POST", URL, INVALID_SPAN):
        pass
    (finished,) = exporter.get_finished_spans()
    assert (finished.attributes, caplog.text) == ({}, "")
