"""Every step of the seven scenarios is one trace, whole, in which services say what they must and nobody is named."""

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from deploy.local import diagrams
from deploy.local.recording import BrokenTraces, Recorded, Span, faults, read, record
from deploy.local.scenarios import BASKET, PASSWORD, Step, World
from tests.conftest import ROOT, Mesh, port
from tests.recorded import Run, page, run

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


def missing(steps: list[Recorded], service: str, kind: str, name: str) -> str:
    """What is wrong with a row of the matrix; nothing when it holds."""
    found = [span for each in steps for span in each.spans if (span.service, span.name) == (service, name)]
    if not found:
        return f"{service} emits no {name}"
    bad = [span for span in found if not says(span, MATRIX["kinds"][kind]) and not span.failed]
    return f"{service}: {name} is not as a span of {kind} should be: {bad[0]}" if bad else ""


@pytest.fixture(scope="module")
def recorded(mesh: Mesh) -> Run:
    return run(mesh)


def test_every_service_emits_what_the_matrix_says(recorded: Run) -> None:
    wrong = [
        f"{scenario}, {step}: {said}"
        for scenario, step, service, kind, name in rows()
        if (said := missing(recorded.of(scenario, step), service, kind, name))
    ]
    assert not wrong, "\n".join(wrong)


def test_the_matrix_knows_every_step(recorded: Run) -> None:
    known = {(scenario, step) for scenario, steps in MATRIX["steps"].items() for step in steps}
    seen = {(each.step.scenario, each.step.name) for each in recorded.steps}
    # Read-only steps that only look at what another has done are in no row.
    assert seen - known == {
        ("confirm", "GET /api/v1/banks"),
        ("pay", "GET /api/v1/orders/{order_id}"),
        ("deliver", "POST /api/v1/sessions"),
    }


def test_a_span_that_is_missing_is_missed(recorded: Run) -> None:
    (paid,) = recorded.of("pay", "POST /checkout/visa")
    without = Recorded(paid.step, [span for span in paid.spans if span.name != "fcm send"])
    assert missing([paid], "notifications", "outside", "fcm send") == ""
    assert missing([without], "notifications", "outside", "fcm send") == "notifications emits no fcm send"


def test_no_trace_has_a_fault(recorded: Run) -> None:
    assert [fault for each in recorded.steps for fault in faults(each.spans)] == []


def test_paying_shows_all_four_services_and_the_sidecars_between_them(recorded: Run) -> None:
    (paid,) = recorded.of("pay", "POST /checkout/visa")
    services = {"gateway", "orders", "partners", "notifications"}
    assert {span.service for span in paid.spans} == services | {"gateway-envoy", "orders-envoy"}


def test_consumers_continue_their_producers_and_link_to_them(recorded: Run) -> None:
    consumed = 0
    for each in recorded.steps:
        spans = {span.id: span for span in each.spans}
        for span in each.spans:
            if "messaging.system" in span.tags and span.kind == "consumer":
                consumed += 1
                assert span.links == [span.parent]
                assert spans[span.parent].kind == "producer"
                assert spans[span.parent].tags["messaging.message.id"] == span.tags["messaging.message.id"]
    assert consumed >= 15


def test_money_that_goes_back_does_so_in_the_payments_trace(pending: World) -> None:
    body = {
        "order_id": pending.order_id,
        "amount": BASKET["total_amount"],
        "currency": BASKET["currency"],
        "callback_url": pending.checkout["callback_url"],
        "outcome": "more",
    }
    pending.outside("POST", f"/checkout/{BASKET['bank_id']}", 200, json=body)
    pending.until("the difference is back", lambda: pending.order()["refund_status"] == "refunded")
    (paid,) = record(page(), pending.steps[-1:])
    assert {("orders", "give money back"), ("orders", "refund"), ("orders", "publish payments.refunded")} <= {
        (span.service, span.name) for span in paid.spans
    }


def test_nobody_is_named(recorded: Run) -> None:
    world = recorded.world
    secrets = [
        world.email,
        world.device,
        "@delivery.test",
        PASSWORD,
        "Ada",
        "Byron",
        "Long Street",
        *world.tokens.values(),
    ]
    secrets += ["python-httpx", "eyJ"]
    for each in recorded.steps:
        text = httpx.get(f"{page()}/api/traces/{each.step.trace_id}", trust_env=False).text
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
    httpx.post(f"http://127.0.0.1:{port(4318)}/v1/traces", json=body, trust_env=False).raise_for_status()


def test_a_planted_orphan_is_found(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    trace_id = os.urandom(16).hex()
    otlp(trace_id, "00000000000000a1")
    spans = read(httpx.get(f"{page()}/api/traces/{trace_id}", trust_env=False).json()["data"][0])
    assert faults(spans) == []
    otlp(trace_id, "00000000000000a2", parent="00000000000000ff")
    spans = read(httpx.get(f"{page()}/api/traces/{trace_id}", trust_env=False).json()["data"][0])
    assert faults(spans) == ["planted: planted has lost its parent"]
    monkeypatch.setattr("deploy.local.recording.PATIENCE", 0.5)
    with pytest.raises(BrokenTraces, match="planted has lost its parent"):
        record(page(), [Step("planted", "nobody", "GET /", 200, trace_id)])


def test_the_diagrams_still_show_what_happens(recorded: Run) -> None:
    drawn = diagrams.pages(recorded.steps)
    kept = {path.name: path.read_text() for path in (ROOT / "design").glob("[0-9]*.md")}
    assert drawn.keys() == kept.keys()
    for name, text in drawn.items():
        assert text == kept[name], f"design/{name} is not what happens any more; `make diagrams` draws it again"
