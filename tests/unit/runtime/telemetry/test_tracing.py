"""Spans: whom they follow, what begins none, what they say, and that they hold nobody up."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from sqlalchemy import Column, MetaData, Table, Text, bindparam, delete, func, insert, select, text, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql.elements import ClauseElement

from deploy.local.mesh_config import ROOT
from services.runtime.storage.database import Statement
from services.runtime.telemetry import tracing

TRACE = "0af7651916cd43dd8448eb211c80319c"
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


def recorder(monkeypatch: pytest.MonkeyPatch, percent: float) -> InMemorySpanExporter:
    """What a process of ours records that traces so much of its own."""
    monkeypatch.delenv(ENDPOINT, raising=False)
    exporter, provider = InMemorySpanExporter(), tracing.build_tracer_provider("test", percent)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "tracer", provider.get_tracer("test"))
    return exporter


def parent(sampled: bool) -> dict[str, str]:
    return {"traceparent": f"00-{TRACE}-b7ad6b7169203331-0{int(sampled)}"}


@pytest.mark.parametrize("percent", [0.0, 100.0])
@pytest.mark.parametrize("sampled", [True, False])
def test_the_edge_decides_for_everybody_behind_it(
    monkeypatch: pytest.MonkeyPatch, percent: float, sampled: bool
) -> None:
    exporter = recorder(monkeypatch, percent)
    with tracing.start_span("serve", SpanKind.SERVER, parent(sampled)), tracing.start_child_span("SELECT orders"):
        onward = tracing.get_context_headers()["traceparent"]
        with tracing.start_detached_span("publish", SpanKind.PRODUCER, tracing.get_context_headers(), {}) as headers:
            pass
    assert [span.name for span in exporter.get_finished_spans()] == ["publish", "SELECT orders", "serve"] * sampled
    for said in (onward, headers["traceparent"]):
        assert said.split("-")[1] == TRACE
        assert said.endswith("-01" if sampled else "-00")


@pytest.mark.parametrize(("percent", "spans"), [(0, 0), (100, 50)])
def test_what_begins_here_is_traced_by_share(monkeypatch: pytest.MonkeyPatch, percent: float, spans: int) -> None:
    exporter = recorder(monkeypatch, percent)
    for _ in range(50):
        with tracing.start_span("sweep", SpanKind.INTERNAL):
            pass
    assert len(exporter.get_finished_spans()) == spans


def test_looking_for_work_begins_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = recorder(monkeypatch, 100)
    with tracing.start_child_span("SELECT outbox") as span, tracing.start_peer_span("fcm", "send"):
        span.set_attribute("heard", "by nobody")
    assert exporter.get_finished_spans() == ()


def test_many_messages_are_on_their_way_at_once_each_in_its_own_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = recorder(monkeypatch, 100)
    other = parent(sampled=True)["traceparent"].replace("0af7", "ffff")
    with (
        tracing.start_detached_span("publish a", SpanKind.PRODUCER, parent(sampled=True), {}) as a,
        tracing.start_detached_span("publish b", SpanKind.PRODUCER, {"traceparent": other}, {}) as b,
    ):
        assert tracing.get_context_headers() == {}
    second, first = exporter.get_finished_spans()
    for span, headers in ((first, a), (second, b)):
        context = span.get_span_context()
        assert context is not None
        assert headers["traceparent"] == f"00-{context.trace_id:032x}-{context.span_id:016x}-01"


def test_an_error_is_told_by_its_kind_and_not_by_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = recorder(monkeypatch, 100)
    with pytest.raises(ValueError, match="ada"), tracing.start_span("serve", SpanKind.SERVER):
        raise ValueError("ada@delivery.test is taken")
    (span,) = exporter.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes == {"error.type": "ValueError"}
    assert "ada@delivery" not in span.to_json()  # hexadecimal ids may hold "ada"


orders = Table("orders", MetaData(), Column("id", Text, primary_key=True), Column("state", Text))
lines = Table("lines", MetaData(), Column("order_id", Text))
_made = insert(orders).values(id=bindparam("id")).returning(orders.c.id).cte("made")
_due = select(orders.c.id).where(orders.c.state == bindparam("was")).with_for_update().cte("due")


@pytest.mark.parametrize(
    ("statement", "summary"),
    [
        (select(orders), "SELECT orders"),
        (select(orders).join(lines, lines.c.order_id == orders.c.id), "SELECT orders"),
        (select(select(orders).subquery()), "SELECT orders"),
        (insert(orders).values(id=bindparam("id")), "INSERT orders"),
        (postgresql.insert(orders).values(id="1").on_conflict_do_nothing(), "INSERT orders"),
        (update(orders).where(orders.c.id.in_(select(_due.c.id))).values(state="b"), "UPDATE orders"),
        (insert(lines).from_select(["order_id"], select(_made.c.id)), "INSERT orders"),
        (delete(orders), "DELETE orders"),
        (select(func.pg_advisory_xact_lock(1)), "SELECT pg_advisory_xact_lock"),
        (text("VACUUM"), "VACUUM"),
    ],
)
def test_a_statement_is_told_by_verb_and_table(statement: ClauseElement, summary: str) -> None:
    assert Statement(statement).summary == summary


@pytest.fixture
def hanging() -> Iterator[str]:
    """A collector that takes connections and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def away() -> str:
    """A collector that is not there."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


@pytest.mark.parametrize("collector", ["hanging", "away"])
def test_a_process_ends_soon_without_its_collector(request: pytest.FixtureRequest, collector: str) -> None:
    program = """
import os, time
from services.runtime import tracing
provider = tracing.setup("test", 100)
for _ in range(4000):
    with tracing.span("serve", tracing.SpanKind.SERVER):
        pass
print(time.monotonic(), flush=True)
tracing.stop(provider)
"""
    told = {
        **os.environ,
        ENDPOINT: request.getfixturevalue(collector),
        "PYTHONPATH": str(ROOT),
        "GRPC_VERBOSITY": "ERROR",
    }
    done = subprocess.run(
        [sys.executable, "-c", program], env=told, capture_output=True, text=True, check=True, timeout=30
    )
    # The exporter's own patience would be eight seconds; the interpreter's end on a busy machine is in it, too.
    assert time.monotonic() - float(done.stdout) < 5
