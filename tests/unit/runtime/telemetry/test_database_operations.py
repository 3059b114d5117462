"""Attributes of database operations, compared with OpenTelemetry's semantic conventions."""

from contextlib import nullcontext

import psycopg
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from services.runtime.telemetry import database_operations, tracing
from services.runtime.telemetry.database_operations import DatabaseOperation
from tests.unit.runtime.telemetry.conventions import DATABASE, ERROR, Attributes, assert_conforms, list_attributes


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (None, {}),
        (psycopg.errors.UniqueViolation(), {ERROR: "UniqueViolation", "db.response.status_code": "23505"}),
        (TimeoutError(), {ERROR: "TimeoutError"}),
    ],
)
def test_database_operation_has_attributes_of_the_convention(
    exporter: InMemorySpanExporter, error: Exception | None, expected: Attributes
) -> None:
    operation = DatabaseOperation("postgresql", "shop", "INSERT", "orders")

    def run() -> None:
        expects_error = nullcontext() if error is None else pytest.raises(type(error))
        with tracing.start_span("request", SpanKind.SERVER), expects_error, operation.measure():
            if error is not None:
                raise error

    (attributes,) = list_attributes(database_operations.DURATION, run)
    span = exporter.get_finished_spans()[0]
    assert span.attributes is not None
    for each in (attributes, span.attributes):
        assert_conforms(DATABASE, each)
    assert attributes == expected | {
        "db.system.name": "postgresql",
        "db.namespace": "shop",
        "db.operation.name": "INSERT",
        "db.collection.name": "orders",
    }
    assert dict(span.attributes) == dict(attributes) | {"db.query.summary": "INSERT orders"}
    assert (span.name, span.kind) == ("INSERT orders", SpanKind.CLIENT)


def test_database_operation_outside_a_trace_is_measured_without_span(exporter: InMemorySpanExporter) -> None:
    operation = DatabaseOperation("memcached", "", "get", "check")

    def run() -> None:
        with operation.measure():
            pass

    (attributes,) = list_attributes(database_operations.DURATION, run)
    assert attributes == {"db.system.name": "memcached", "db.operation.name": "get", "db.collection.name": "check"}
    assert exporter.get_finished_spans() == ()
