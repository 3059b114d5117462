"""Traces of the seven scenarios: each step is one complete trace with the expected spans and no personal data."""

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from deploy.local.demo import diagrams
from deploy.local.demo.scenario_context import ScenarioContext, Step
from deploy.local.demo.scenarios import BASKET, DEMO_PASSWORD
from deploy.local.demo.trace_recorder import (
    IncompleteTraces,
    RecordedTrace,
    Span,
    collect_traces,
    list_trace_errors,
    parse_trace,
)
from generated.events import ORDER_PAID
from services.runtime.messaging.topology import get_owner
from tests.conftest import ROOT, Mesh, shift_port
from tests.recorded_traces import RecordedRun, get_traces_url, record_run

EXPECTED_SPANS = yaml.load(
    Path(__file__).with_name("expected_spans.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader
)


def list_expected_spans() -> Iterator[tuple[str, str, str, str, str]]:
    """Yield scenario, step, service, kind and name of each expected span."""
    for scenario, steps in EXPECTED_SPANS["steps"].items():
        for step, services in steps.items():
            for service, kinds in services.items():
                for kind, names in kinds.items():
                    yield from ((scenario, step, service, kind, name) for name in names)


def is_of_kind(span: Span, kind: Mapping[str, Any]) -> bool:
    """Return whether a span is of a kind, with all attributes of the kind."""
    attributes = kind["attributes"]
    expected = attributes if isinstance(attributes, dict) else dict.fromkeys(attributes)
    return span.kind == kind["kind"] and all(
        name in span.tags and value in (None, span.tags[name]) for name, value in expected.items()
    )


def describe_missing_span(traces: list[RecordedTrace], service: str, kind: str, name: str) -> str:
    """Return the error of an expected span, or an empty text if it was emitted."""
    spans = [span for trace in traces for span in trace.spans if (span.service, span.name) == (service, name)]
    if not spans:
        return f"{service} emits no span {name}"
    invalid = [span for span in spans if not is_of_kind(span, EXPECTED_SPANS["kinds"][kind]) and not span.is_failed]
    return f"{service}: span {name} is not of kind {kind}: {invalid[0]}" if invalid else ""


@pytest.fixture(scope="module")
def recorded(mesh: Mesh) -> RecordedRun:
    return record_run(mesh)


def test_services_emit_expected_spans(recorded: RecordedRun) -> None:
    errors = [
        f"{scenario}, {step}: {error}"
        for scenario, step, service, kind, name in list_expected_spans()
        if (error := describe_missing_span(recorded.find_traces(scenario, step), service, kind, name))
    ]
    assert not errors, "\n".join(errors)


def test_expected_spans_contain_every_step(recorded: RecordedRun) -> None:
    expected = {(scenario, step) for scenario, steps in EXPECTED_SPANS["steps"].items() for step in steps}
    actual = {(trace.step.scenario, trace.step.name) for trace in recorded.traces}
    # Steps that only read the result of another step have no expected spans.
    assert actual - expected == {
        ("confirm", "GET /api/v1/banks"),
        ("pay", "GET /api/v1/orders/{order_id}"),
        ("deliver", "POST /api/v1/sessions"),
    }


def test_missing_span_is_reported(recorded: RecordedRun) -> None:
    (paid,) = recorded.find_traces("pay", "POST /checkout/visa")
    without = RecordedTrace(paid.step, [span for span in paid.spans if span.name != "fcm send"])
    assert describe_missing_span([paid], "notifications", "external", "fcm send") == ""
    assert (
        describe_missing_span([without], "notifications", "external", "fcm send")
        == "notifications emits no span fcm send"
    )


def test_traces_are_complete(recorded: RecordedRun) -> None:
    assert [error for trace in recorded.traces for error in list_trace_errors(trace.spans)] == []


def test_payment_trace_contains_all_services_and_sidecars(recorded: RecordedRun) -> None:
    (paid,) = recorded.find_traces("pay", "POST /checkout/visa")
    consumers = {get_owner(queue) for queue in ORDER_PAID.all_queues}
    assert {span.service for span in paid.spans} == consumers | {"gateway", "gateway-envoy", "orders-envoy"}


def test_consumer_spans_link_to_their_producers(recorded: RecordedRun) -> None:
    consumer_count = 0
    for trace in recorded.traces:
        spans = {span.id: span for span in trace.spans}
        for span in trace.spans:
            if "messaging.system" in span.tags and span.kind == "consumer":
                consumer_count += 1
                assert span.links == [span.parent_id]
                assert spans[span.parent_id].kind == "producer"
                assert spans[span.parent_id].tags["messaging.message.id"] == span.tags["messaging.message.id"]
    assert consumer_count >= 15


def test_refund_belongs_to_payment_trace(pending: ScenarioContext) -> None:
    body = {
        "order_id": pending.order_id,
        "amount": BASKET["total_amount"],
        "currency": BASKET["currency"],
        "callback_url": pending.checkout["callback_url"],
        "outcome": "more",
    }
    pending.request_sandbox("POST", f"/checkout/{BASKET['bank_id']}", 200, json=body)
    pending.wait_until("refund is completed", lambda: pending.get_order()["refund_status"] == "refunded")
    (paid,) = collect_traces(get_traces_url(), pending.steps[-1:])
    assert {("orders", "send refund"), ("orders", "refund"), ("orders", "publish payments.refunded")} <= {
        (span.service, span.name) for span in paid.spans
    }


def test_spans_contain_no_personal_data(recorded: RecordedRun) -> None:
    context = recorded.context
    secrets = [
        context.email,
        context.device,
        "@delivery.test",
        DEMO_PASSWORD,
        "Ada",
        "Byron",
        "Long Street",
        *context.tokens.values(),
    ]
    secrets += ["python-httpx", "eyJ"]
    for trace in recorded.traces:
        text = httpx.get(f"{get_traces_url()}/api/traces/{trace.step.trace_id}", trust_env=False).text
        assert [secret for secret in secrets if secret in text] == []
        assert not {str(span.tags.get("peer.address", "-")) for span in trace.spans} - {"-"}


def send_span(trace_id: str, span_id: str, parent: str = "", **attributes: str) -> None:
    """Send a span over OTLP."""
    span = {
        "traceId": trace_id,
        "spanId": span_id,
        "parentSpanId": parent,
        "name": "injected",
        "kind": 2,
        "startTimeUnixNano": str(time.time_ns()),
        "endTimeUnixNano": str(time.time_ns()),
        "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()],
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "injected"}}]}
    body = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}
    httpx.post(f"http://127.0.0.1:{shift_port(4318)}/v1/traces", json=body, trust_env=False).raise_for_status()


def test_orphan_span_is_reported(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    trace_id = os.urandom(16).hex()
    send_span(trace_id, "00000000000000a1")
    spans = parse_trace(httpx.get(f"{get_traces_url()}/api/traces/{trace_id}", trust_env=False).json()["data"][0])
    assert list_trace_errors(spans) == []
    send_span(trace_id, "00000000000000a2", parent="00000000000000ff")
    spans = parse_trace(httpx.get(f"{get_traces_url()}/api/traces/{trace_id}", trust_env=False).json()["data"][0])
    assert list_trace_errors(spans) == ["injected: injected has no parent span"]
    monkeypatch.setattr("deploy.local.demo.trace_recorder.TIMEOUT_S", 0.5)
    with pytest.raises(IncompleteTraces, match="injected has no parent span"):
        collect_traces(get_traces_url(), [Step("injected", "user", "GET /", 200, trace_id)])


def test_committed_diagrams_match_traces(recorded: RecordedRun) -> None:
    drawn = diagrams.render_diagrams(recorded.traces)
    committed = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "design").glob("[0-9]*.md")}
    assert drawn.keys() == committed.keys()
    for name, text in drawn.items():
        assert text == committed[name], f"design/{name} is outdated; run `make diagrams`"
