"""Attributes of metrics, spans and resources, compared with OpenTelemetry's semantic conventions."""

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import AsyncMock

import grpc
import httpx
import pika
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.metrics import messaging_metrics
from opentelemetry.semconv._incubating.metrics import rpc_metrics as rpc_metric_names
from opentelemetry.semconv.metrics import db_metrics, http_metrics

from services.runtime.messaging import metrics as messaging
from services.runtime.messaging.channel import Channel
from services.runtime.messaging.events import EXCHANGE, Envelope
from services.runtime.telemetry import (
    database_operations,
    http_client,
    http_server,
    rpc_metrics,
    rpc_spans,
)
from services.runtime.telemetry.histograms import BUCKET_BOUNDS_S, DATABASE_BUCKET_BOUNDS_S, DurationHistogram
from tests.unit.runtime.telemetry.conventions import (
    ERROR,
    HTTP_CLIENT,
    MESSAGING,
    MESSAGING_SPAN,
    RPC,
    Attributes,
    assert_conforms,
    list_attributes,
)

PATH = "/delivery.orders.v1.OrdersService/GetOrder"


@pytest.mark.parametrize(
    ("histogram", "name", "bounds"),
    [
        (http_server.DURATION, http_metrics.HTTP_SERVER_REQUEST_DURATION, BUCKET_BOUNDS_S),
        (http_client.DURATION, http_metrics.HTTP_CLIENT_REQUEST_DURATION, BUCKET_BOUNDS_S),
        (rpc_metrics.SERVER_DURATION, rpc_metric_names.RPC_SERVER_CALL_DURATION, BUCKET_BOUNDS_S),
        (rpc_metrics.CLIENT_DURATION, rpc_metric_names.RPC_CLIENT_CALL_DURATION, BUCKET_BOUNDS_S),
        (database_operations.DURATION, db_metrics.DB_CLIENT_OPERATION_DURATION, DATABASE_BUCKET_BOUNDS_S),
        (messaging.PROCESS_DURATION, messaging_metrics.MESSAGING_PROCESS_DURATION, BUCKET_BOUNDS_S),
        (messaging.OPERATION_DURATION, messaging_metrics.MESSAGING_CLIENT_OPERATION_DURATION, BUCKET_BOUNDS_S),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_histogram_has_name_unit_and_advised_bounds(
    histogram: DurationHistogram[Any], name: str, bounds: tuple[float, ...]
) -> None:
    assert (histogram.to_metric().name, histogram.to_metric().unit, histogram._bounds) == (name, "s", bounds)


def test_message_counters_have_names_of_the_conventions() -> None:
    names = [counter.name for counter in (messaging.SENT_MESSAGES, messaging.CONSUMED_MESSAGES)]
    assert names == [
        messaging_metrics.MESSAGING_CLIENT_SENT_MESSAGES,
        messaging_metrics.MESSAGING_CLIENT_CONSUMED_MESSAGES,
    ]


@pytest.mark.parametrize("code", grpc.StatusCode)
@pytest.mark.parametrize(
    "histogram", [rpc_metrics.SERVER_DURATION, rpc_metrics.CLIENT_DURATION], ids=["server", "client"]
)
def test_rpc_has_attributes_of_the_convention(
    exporter: InMemorySpanExporter, histogram: DurationHistogram[str], code: grpc.StatusCode
) -> None:
    """The duration has the same attributes as the span, so that both agree on what an error is."""
    bound = rpc_metrics.bind_duration(histogram, PATH)
    (attributes,) = list_attributes(histogram, lambda: bound.record(code.name, 0.1))
    assert_conforms(RPC, attributes)
    if histogram is rpc_metrics.SERVER_DURATION:
        with rpc_spans.start_server_span(PATH, {}) as span:
            rpc_spans.end_server_span(span, code)
    else:
        with rpc_spans.start_client_span(PATH, {}) as span:
            rpc_spans.end_client_span(span, code)
    (finished,) = exporter.get_finished_spans()
    assert finished.attributes == attributes


@pytest.mark.parametrize(
    ("outcome", "error"), [("consumed", {}), ("dead", {ERROR: "dead"}), ("waiting", {ERROR: "waiting"})]
)
def test_processed_message_has_attributes_of_the_convention(outcome: str, error: Attributes) -> None:
    (attributes,) = list_attributes(
        messaging.PROCESS_DURATION, lambda: messaging.record_processed("orders.history", "orders.paid", outcome, 0.1)
    )
    assert_conforms(MESSAGING, attributes)
    assert attributes == error | {
        "messaging.system": "rabbitmq",
        "messaging.operation.name": "process",
        "messaging.destination.name": "orders.history",
        "queue": "orders.history",
        "event": "orders.paid",
        "outcome": outcome,
    }


@pytest.mark.parametrize(("error", "expected"), [(None, {}), (TimeoutError, {ERROR: "TimeoutError"})])
def test_published_batch_has_attributes_of_the_convention(
    error: type[BaseException] | None, expected: Attributes
) -> None:
    (attributes,) = list_attributes(messaging.OPERATION_DURATION, lambda: messaging.record_publish(error, 0.1))
    assert_conforms(MESSAGING, attributes)
    assert attributes == expected | {
        "messaging.system": "rabbitmq",
        "messaging.operation.name": "publish",
        "messaging.operation.type": "send",
        "messaging.destination.name": EXCHANGE,
    }


def test_counted_messages_have_attributes_of_the_convention() -> None:
    for attributes in (
        messaging._build_sent_attributes("orders.paid"),
        messaging._build_received_attributes("consume", "orders.history", "orders.paid"),
    ):
        assert_conforms(MESSAGING, attributes)


async def test_publish_span_has_attributes_of_the_convention(exporter: InMemorySpanExporter) -> None:
    connection_lost = asyncio.get_running_loop().create_future()
    connection = SimpleNamespace(params=pika.ConnectionParameters(), write=lambda _: None)
    pika_channel = SimpleNamespace(channel_number=1, is_open=True, connection=connection)
    channel = Channel(cast(Any, pika_channel), connection_lost, AsyncMock())
    envelope = Envelope("e1", "/orders", "orders.paid", "o1", datetime.now(UTC), {}, b"")
    publishing = asyncio.ensure_future(channel.publish([envelope]))
    await asyncio.sleep(0)
    publishing.cancel()
    await asyncio.wait([publishing])
    (span,) = exporter.get_finished_spans()
    assert span.attributes is not None
    assert_conforms(MESSAGING_SPAN, span.attributes)


@pytest.mark.parametrize(
    ("url", "recorded", "port"),
    [
        ("https://user:secret@bank.test/visa/refunds?key=secret#secret", "https://bank.test/visa/refunds", 443),
        ("http://bank.test:8090/refunds", "http://bank.test:8090/refunds", 8090),
        ("http://bank.test/refunds", "http://bank.test/refunds", 80),
    ],
)
def test_request_to_third_party_has_attributes_of_the_convention(url: str, recorded: str, port: int) -> None:
    attributes = http_client.build_attributes("POST", httpx.URL(url))
    assert_conforms(HTTP_CLIENT, attributes)
    assert attributes == {
        "http.request.method": "POST",
        "server.address": "bank.test",
        "server.port": port,
        "url.full": recorded,
    }
