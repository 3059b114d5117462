"""Every step of the seven scenarios is one trace, whole, in which services say what they must and nobody is named."""

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from deploy.local.demo import diagrams
from deploy.local.demo.scenarios import BASKET, DEMO_PASSWORD, ScenarioContext, Step
from deploy.local.demo.trace_recorder import (
    IncompleteTraces,
    RecordedTrace,
    Span,
    collect_traces,
    list_trace_errors,
    parse_trace,
)
from tests.conftest import ROOT, Mesh, shift_port
from tests.recorded_traces import RecordedRun, get_traces_url, record_run

MATRIX = yaml.safe_load(Path(__file__).with_name("spans.yaml").read_text())


def rows() -> Iterator[tuple[str, str, str, str, str]]:
    """Scenario, step, service, kind, span."""
    for scenario, steps in MATRIX["steps"].items():
        for step, services in steps.items():
            for service, kinds in services.items():
                for kind, names in kinds.items():
                    yield from ((scenario, step, service, kind, name) for name in names)


def says(span: Span, kind: Mapping[str, Any]) -> bool:
    """Whether a span is of this kind, with every attribute that it must have."""
    wanted = kind["attributes"]
    wanted = wanted if isinstance(wanted, dict) else dict.fromkeys(wanted)
    return span.kind == kind["kind"] and all(
        name in span.tags and value in (None, span.tags[name]) for name, value in wanted.items()
    )


def missing(steps: list[RecordedTrace], service: str, kind: str, name: str) -> str:
    """What is wrong with a row of the matrix; nothing when it holds."""
    found = [span for each in steps for span in each.spans if (span.service, span.name) == (service, name)]
    if not found:
        return f"{service} emits no {name}"
    bad = [span for span in found if not says(span, MATRIX["kinds"][kind]) and not span.is_failed]
    return f"{service}: {name} is not as a span of {kind} should be: {bad[0]}" if bad else ""


@pytest.fixture(scope="module")
def recorded(mesh: Mesh) -> RecordedRun:
    return record_run(mesh)


def test_every_service_emits_what_the_matrix_says(recorded: RecordedRun) -> None:
    wrong = [
        f"{scenario}, {step}: {said}"
        for scenario, step, service, kind, name in rows()
        if (said := missing(recorded.find_traces(scenario, step), service, kind, name))
    ]
    assert not wrong, "\n".join(wrong)


def test_the_matrix_knows_every_step(recorded: RecordedRun) -> None:
    known = {(scenario, step) for scenario, steps in MATRIX["steps"].items() for step in steps}
    seen = {(each.step.scenario, each.step.name) for each in recorded.traces}
    # Read-only steps that only look at what another has done are in no row.
    assert seen - known == {
        ("confirm", "GET /api/v1/banks"),
        ("pay", "GET /api/v1/orders/{order_id}"),
        ("deliver", "POST /api/v1/sessions"),
    }


def test_a_span_that_is_missing_is_missed(recorded: RecordedRun) -> None:
    (paid,) = recorded.find_traces("pay", "POST /checkout/visa")
    without = RecordedTrace(paid.step, [span for span in paid.spans if span.name != "fcm send"])
    assert missing([paid], "notifications", "outside", "fcm send") == ""
    assert missing([without], "notifications", "outside", "fcm send") == "notifications emits no fcm send"


def test_no_trace_has_a_fault(recorded: RecordedRun) -> None:
    assert [fault for each in recorded.traces for fault in list_trace_errors(each.spans)] == []


def test_paying_shows_all_four_services_and_the_sidecars_between_them(recorded: RecordedRun) -> None:
    (paid,) = recorded.find_traces("pay", "POST /checkout/visa")
    services = {"gateway", "orders", "partners", "notifications"}
    assert {span.service for span in paid.spans} == services | {"gateway-envoy", "orders-envoy"}


def test_consumers_continue_their_producers_and_link_to_them(recorded: RecordedRun) -> None:
    consumed = 0
    for each in recorded.traces:
        spans = {span.id: span for span in each.spans}
        for span in each.spans:
            if "messaging.system" in span.tags and span.kind == "consumer":
                consumed += 1
                assert span.links == [span.parent_id]
                assert spans[span.parent_id].kind == "producer"
                assert spans[span.parent_id].tags["messaging.message.id"] == span.tags["messaging.message.id"]
    assert consumed >= 15


def test_money_that_goes_back_does_so_in_the_payments_trace(pending: ScenarioContext) -> None:
    body = {
        "order_id": pending.order_id,
        "amount": BASKET["total_amount"],
        "currency": BASKET["currency"],
        "callback_url": pending.checkout["callback_url"],
        "outcome": "more",
    }
    pending.sandbox_request("POST", f"/checkout/{BASKET['bank_id']}", 200, json=body)
    pending.wait_until("the difference is back", lambda: pending.get_order()["refund_status"] == "refunded")
    (paid,) = collect_traces(get_traces_url(), pending.steps[-1:])
    assert {("orders", "send refund"), ("orders", "refund"), ("orders", "publish payments.refunded")} <= {
        (span.service, span.name) for span in paid.spans
    }


def test_nobody_is_named(recorded: RecordedRun) -> None:
    world = recorded.context
    secrets = [
        world.email,
        world.device,
        "@delivery.test",
        DEMO_PASSWORD,
        "Ada",
        "Byron",
        "Long Street",
        *world.tokens.values(),
    ]
    secrets += ["python-httpx", "eyJ"]
    for each in recorded.traces:
        text = httpx.get(f"{get_traces_url()}/api/traces/{each.step.trace_id}", trust_env=False).text
        assert [secret for secret in secrets if secret in text] == []
        assert not {str(span.tags.get("peer.address", "-")) for span in each.spans} - {"-"}


def otlp(trace_id: str, span_id: str, parent: str = "", **attributes: str) -> None:
    """Sends one span, as a program would."""
    span = {
        "traceId": trace_id,
        "spanId": span_id,
        "parentSpanId": parent,
        "name": "planted",
        "kind": 2,
        "startTimeUnixNano": str(time.time_ns()),
        "endTimeUnixNano": str(time.time_ns()),
        "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()],
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "planted"}}]}
    body = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}
    httpx.post(f"http://127.0.0.1:{shift_port(4318)}/v1/traces", json=body, trust_env=False).raise_for_status()


def test_a_planted_orphan_is_found(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    trace_id = os.urandom(16).hex()
    otlp(trace_id, "00000000000000a1")
    spans = parse_trace(httpx.get(f"{get_traces_url()}/api/traces/{trace_id}", trust_env=False).json()["data"][0])
    assert list_trace_errors(spans) == []
    otlp(trace_id, "00000000000000a2", parent="00000000000000ff")
    spans = parse_trace(httpx.get(f"{get_traces_url()}/api/traces/{trace_id}", trust_env=False).json()["data"][0])
    assert list_trace_errors(spans) == ["planted: planted has no parent span"]
    monkeypatch.setattr("deploy.local.demo.trace_recorder.TIMEOUT_S", 0.5)
    with pytest.raises(IncompleteTraces, match="planted has no parent span"):
        collect_traces(get_traces_url(), [Step("planted", "nobody", "GET /", 200, trace_id)])


def test_the_diagrams_still_show_what_happens(recorded: RecordedRun) -> None:
    drawn = diagrams.render_diagrams(recorded.traces)
    kept = {path.name: path.read_text() for path in (ROOT / "design").glob("[0-9]*.md")}
    assert drawn.keys() == kept.keys()
    for name, text in drawn.items():
        assert text == kept[name], f"design/{name} is not what happens any more; `make diagrams` draws it again"
