"""Format of log lines, and redaction of secrets and personal data."""

import json
import logging
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from services.runtime.telemetry.logging_setup import _JsonFormatter, redact

SENSITIVE = [
    "ada@delivery.test",
    "ada.byron+orders@mail.example.org",
    "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2ln-_bmF0dXJl",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "+491701234567",
]


@given(st.sampled_from(SENSITIVE), st.sampled_from([" ", "'", '"', "(", "=", ": ", ", "]), st.sampled_from(" '\").,:;"))
def test_sensitive_values_are_redacted(sensitive: str, before: str, after: str) -> None:
    assert sensitive not in redact(f"failed{before}{sensitive}{after} twice")
    assert redact(f"failed{before}{sensitive}{after} twice").endswith(f"[redacted]{after} twice")


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("amqp://orders:s3cr:t@127.0.0.1:5672/delivery", "amqp://orders:[redacted]@127.0.0.1:5672/delivery"),
        ("exists\nDETAIL:  Key (title)=(Ada) exists.\nCONTEXT: x", "exists\nDETAIL: [redacted]\nCONTEXT: x"),
        ('E11000 duplicate key error dup key: { _id: "Ada" }', "E11000 duplicate key error dup key: [redacted]"),
        ("not authorized to execute command { find: {} }", "not authorized to execute command [redacted]"),
        ("batch op errors occurred, full error: {'op': {}}", "batch op errors occurred, full error: [redacted]"),
        ("mongodb://orders:s3cr:t@127.0.0.1:27117/orders", "mongodb://orders:[redacted]@127.0.0.1:27117/orders"),
        ("postgresql://orders:s3@cr/et@db/orders", "postgresql://orders:[redacted]@db/orders"),
        ("host=db password=s3cr:t dbname=orders", "host=db password=[redacted] dbname=orders"),
        ("sent Bearer abc.def", "sent Bearer [redacted]"),
        ("sent bearer abc.def", "sent bearer [redacted]"),
        ("attempt 2 at a message of orders.history failed", "attempt 2 at a message of orders.history failed"),
        ("2026-11-23T10:50:33+00:00 and 1+1000000000", "2026-11-23T10:50:33+00:00 and 1+1000000000"),
        ("@decorated in /srv/app.py", "@decorated in /srv/app.py"),
    ],
)
def test_other_text_is_unchanged(text: str, redacted: str) -> None:
    assert redact(text) == redacted


@pytest.mark.parametrize(
    "part", ["a", "ab1-", "a.", "a@", "+1", "://", "://a:", "://a:b@c", ":@", "eyJ-", "eyJ.", "-eyJa", "whsec_", " "]
)
def test_time_of_redaction_is_linear(part: str) -> None:
    start = time.process_time()
    redact(part * (200_000 // len(part)))
    assert time.process_time() - start < 2


def format_record(record: logging.LogRecord) -> dict[str, str]:
    line = _JsonFormatter("orders").format(record)
    assert "\n" not in line
    entry: dict[str, str] = json.loads(line)
    return entry


def create_record(message: str, *arguments: object, error: bool = False) -> logging.LogRecord:
    info = sys.exc_info() if error else None
    return logging.LogRecord("services.orders", logging.ERROR, __file__, 1, message, arguments, info)


def test_log_line_is_one_redacted_message_with_fixed_fields() -> None:
    entry = format_record(create_record("%s of %s\nfailed", 1, "ada@delivery.test"))
    assert entry.keys() == {"time", "level", "service", "logger", "message"}
    assert entry["message"] == "1 of [redacted]\nfailed"


def test_log_line_contains_trace_and_span_id() -> None:
    with TracerProvider().get_tracer("test").start_as_current_span("a") as span:
        entry = format_record(create_record("failed"))
    context = span.get_span_context()
    assert entry["trace_id"] == trace.format_trace_id(context.trace_id)
    assert entry["span_id"] == trace.format_span_id(context.span_id)


def test_traceback_is_redacted() -> None:
    try:
        raise ValueError("no such user: ada@delivery.test")
    except ValueError:
        entry = format_record(create_record("failed", error=True))
    assert entry["exception"].endswith("ValueError: no such user: [redacted]")
