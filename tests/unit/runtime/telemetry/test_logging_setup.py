"""A log line is one JSON object with its trace, and keeps to itself what can be told by its form to be private."""

import json
import logging
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from services.runtime.telemetry.logging_setup import _JsonFormatter, redact

PRIVATE = [
    "ada@delivery.test",
    "ada.byron+orders@mail.example.org",
    "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2ln-_bmF0dXJl",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "+491701234567",
]


@given(st.sampled_from(PRIVATE), st.sampled_from([" ", "'", '"', "(", "=", ": ", ", "]), st.sampled_from(" '\").,:;"))
def test_what_is_private_by_its_form_is_left_out(private: str, before: str, after: str) -> None:
    assert private not in redact(f"failed{before}{private}{after} twice")
    assert redact(f"failed{before}{private}{after} twice").endswith(f"[redacted]{after} twice")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("amqp://orders:s3cr:t@127.0.0.1:5672/delivery", "amqp://orders:[redacted]@127.0.0.1:5672/delivery"),
        ("exists\nDETAIL:  Key (title)=(Ada) exists.\nCONTEXT: x", "exists\nDETAIL: [redacted]\nCONTEXT: x"),
        ("sent Bearer abc.def", "sent Bearer [redacted]"),
        ("attempt 2 at a message of orders.history failed", "attempt 2 at a message of orders.history failed"),
        ("2026-11-23T10:50:33+00:00 and 1+1000000000", "2026-11-23T10:50:33+00:00 and 1+1000000000"),
        ("@decorated in /srv/app.py", "@decorated in /srv/app.py"),
    ],
)
def test_the_rest_stays(text: str, kept: str) -> None:
    assert redact(text) == kept


def line(record: logging.LogRecord) -> dict[str, str]:
    text = _JsonFormatter("orders").format(record)
    assert "\n" not in text
    made: dict[str, str] = json.loads(text)
    return made


def record(message: str, *arguments: object, error: bool = False) -> logging.LogRecord:
    info = sys.exc_info() if error else None
    return logging.LogRecord("services.orders", logging.ERROR, __file__, 1, message, arguments, info)


def test_a_line_says_when_who_and_what() -> None:
    made = line(record("%s of %s\nfailed", 1, "ada@delivery.test"))
    assert made.keys() == {"time", "level", "service", "logger", "message"}
    assert made["message"] == "1 of [redacted]\nfailed"


def test_a_line_leads_to_its_trace() -> None:
    with TracerProvider().get_tracer("test").start_as_current_span("a") as span:
        made = line(record("failed"))
    context = span.get_span_context()
    assert made["trace_id"] == trace.format_trace_id(context.trace_id)
    assert made["span_id"] == trace.format_span_id(context.span_id)


def test_a_traceback_is_as_discreet() -> None:
    try:
        raise ValueError("no such user: ada@delivery.test")
    except ValueError:
        made = line(record("failed", error=True))
    assert made["exception"].endswith("ValueError: no such user: [redacted]")
