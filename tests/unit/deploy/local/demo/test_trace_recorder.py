"""Parsing and completeness of traces, and polling of the trace viewer with a simulated clock."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from rich.console import Console

from deploy.local.demo import trace_recorder
from deploy.local.demo.scenario_context import ScenarioContext
from deploy.local.demo.trace_recorder import (
    QUEUES_BY_EVENT_TYPE,
    QUIET_PERIOD_S,
    TIMEOUT_S,
    IncompleteTraces,
    Span,
    collect_traces,
    invalidate_catalog_cache,
    list_trace_errors,
    parse_trace,
)
from tests.unit.deploy.local.demo.sample_traces import create_span, create_step

EVENT_TYPE, QUEUES = next((name, queues) for name, queues in QUEUES_BY_EVENT_TYPE.items() if len(queues) > 1)


def jaeger_span(span_id: str, parent_id: str = "", **changes: Any) -> dict[str, Any]:
    references = [{"refType": "CHILD_OF", "traceID": "1", "spanID": parent_id}] if parent_id else []
    return {
        "spanID": span_id,
        "operationName": f"operation {span_id}",
        "references": references,
        "startTime": 5,
        "tags": [{"key": "span.kind", "value": "server"}, {"key": "error", "value": True}],
        "processID": "p1",
    } | changes


def jaeger_trace(*spans: dict[str, Any]) -> dict[str, Any]:
    return {"spans": list(spans), "processes": {"p1": {"serviceName": "orders"}}}


def test_span_has_service_kind_parent_and_links() -> None:
    link = {"refType": "FOLLOWS_FROM", "traceID": "9", "spanID": "c"}
    child = jaeger_span("b", "a")
    root, parsed = parse_trace(jaeger_trace(jaeger_span("a"), child | {"references": [*child["references"], link]}))
    assert root.parent_id == ""
    assert parsed == Span("b", "a", "orders", "operation b", "server", 5, {"span.kind": "server", "error": True}, ["c"])
    assert parsed.is_failed


def test_span_without_tags_has_no_kind_and_no_error() -> None:
    (span,) = parse_trace(jaeger_trace(jaeger_span("a", tags=[])))
    assert (span.kind, span.is_failed) == ("", False)


ROOT = create_span("POST /orders", "gateway")


def producer(event_id: str = "e1", event_type: str = EVENT_TYPE) -> Span:
    tags = {"cloudevents__event_type": event_type, "cloudevents__event_id": event_id}
    return create_span(f"publish {event_type}", "orders", ROOT, kind="producer", **tags)


def consumer(queue: str, event_id: str = "e1", **tags: Any) -> Span:
    found = {"messaging__destination__name": queue, "cloudevents__event_id": event_id} | tags
    return create_span(f"process {queue}", "orders", ROOT, kind="consumer", **found)


def test_complete_trace_has_no_errors() -> None:
    assert list_trace_errors([ROOT, create_span("S/Get", "orders", ROOT)]) == []
    assert list_trace_errors([ROOT, producer(), *(consumer(queue) for queue in QUEUES)]) == []


def test_missing_parent_is_an_error() -> None:
    orphan = create_span("S/Get", "orders", create_span("lost", "gateway"))
    assert list_trace_errors([ROOT, orphan]) == ["orders: S/Get has no parent span"]


@pytest.mark.parametrize(
    ("spans", "error"),
    [([], "0 root spans: "), ([ROOT, create_span("GET /", "gateway")], "2 root spans: POST /orders, GET /")],
    ids=["none", "two"],
)
def test_other_than_one_root_span_is_an_error(spans: list[Span], error: str) -> None:
    assert list_trace_errors(spans) == [error]


def test_unprocessed_event_is_an_error_per_queue() -> None:
    missing, *processed = QUEUES
    spans = [ROOT, producer(), *(consumer(queue) for queue in processed)]
    assert list_trace_errors(spans) == [f"{missing} has not processed {EVENT_TYPE}"]


@pytest.mark.parametrize("changes", [{"event_id": "e2"}, {"error": True}], ids=["other event", "failed attempt"])
def test_other_delivery_does_not_complete_an_event(changes: dict[str, Any]) -> None:
    first, *others = QUEUES
    spans = [ROOT, producer(), consumer(first, **changes), *(consumer(queue) for queue in others)]
    assert list_trace_errors(spans) == [f"{first} has not processed {EVENT_TYPE}"]


def test_event_of_unknown_type_needs_no_consumer() -> None:
    assert list_trace_errors([ROOT, producer(event_type="unknown")]) == []


class SimulatedClock:
    """Clock that advances only when the code sleeps."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimulatedClock:
    clock = SimulatedClock()
    monkeypatch.setattr(trace_recorder, "time", clock)
    return clock


type Respond = Callable[[Callable[[str], list[dict[str, Any]] | None]], None]


@pytest.fixture
def respond(monkeypatch: pytest.MonkeyPatch) -> Respond:
    """Return a function that sets the spans of each trace id; None is a trace that the viewer does not have."""
    create_client = httpx.Client

    def set_response(find_spans: Callable[[str], list[dict[str, Any]] | None]) -> None:
        def handle(request: httpx.Request) -> httpx.Response:
            spans = find_spans(request.url.path.removeprefix("/api/traces/"))
            return httpx.Response(404) if spans is None else httpx.Response(200, json={"data": [jaeger_trace(*spans)]})

        monkeypatch.setattr(
            httpx,
            "Client",
            lambda **options: create_client(**options, transport=httpx.MockTransport(handle)),
        )

    return set_response


def test_traces_are_complete_after_a_quiet_period(clock: SimulatedClock, respond: Respond) -> None:
    started_at, steps = clock.now_s, [create_step(), create_step()]
    respond(lambda trace_id: [jaeger_span(trace_id)])
    traces = collect_traces("http://traces", iter(steps))
    assert [trace.step for trace in traces] == steps
    assert [trace.spans[0].id for trace in traces] == [step.trace_id for step in steps]
    assert QUIET_PERIOD_S <= clock.now_s - started_at < QUIET_PERIOD_S + 1


def test_new_span_restarts_the_quiet_period(clock: SimulatedClock, respond: Respond) -> None:
    started_at = clock.now_s

    def find_spans(_: str) -> list[dict[str, Any]]:
        return [jaeger_span("a"), *([jaeger_span("b", "a")] if clock.now_s - started_at > QUIET_PERIOD_S / 2 else [])]

    respond(find_spans)
    (trace,) = collect_traces("http://traces", [create_step()])
    assert len(trace.spans) == 2
    assert clock.now_s - started_at >= 1.5 * QUIET_PERIOD_S


@pytest.mark.parametrize(
    ("spans", "error"),
    [
        (None, r"POST /api/v1/orders \(\w+\): 0 root spans"),
        ([jaeger_span("a"), jaeger_span("b", "lost")], r"\(\w+\): orders: operation b has no parent span"),
    ],
    ids=["missing", "orphan"],
)
def test_incomplete_trace_raises_an_error_after_the_timeout(
    clock: SimulatedClock, respond: Respond, spans: list[dict[str, Any]] | None, error: str
) -> None:
    started_at = clock.now_s
    respond(lambda _: spans)
    with pytest.raises(IncompleteTraces, match=error):
        collect_traces("http://traces", [create_step()])
    assert TIMEOUT_S < clock.now_s - started_at < TIMEOUT_S + 1


def test_endless_trace_raises_an_error_after_the_timeout(clock: SimulatedClock, respond: Respond) -> None:
    started_at = clock.now_s
    respond(lambda _: [jaeger_span("a"), *[jaeger_span("b", "a")] * int(4 * (clock.now_s - started_at))])
    with pytest.raises(IncompleteTraces, match="new spans still arrive"):
        collect_traces("http://traces", [create_step()])


def create_context(delete_status: int, requests: list[httpx.Request]) -> ScenarioContext:
    def handle(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        if request.method == "POST":
            return httpx.Response(200, json={"access_token": "t1"})
        return httpx.Response(delete_status)

    client = httpx.Client(base_url="http://edge", transport=httpx.MockTransport(handle))
    return ScenarioContext(client, client, Console(quiet=True))


def test_catalog_cache_is_invalidated_by_an_admin() -> None:
    requests: list[httpx.Request] = []
    invalidate_catalog_cache(create_context(404, requests))
    sign_in, delete = requests
    assert b"admin@delivery.test" in sign_in.content
    assert (delete.method, delete.headers["authorization"]) == ("DELETE", "Bearer t1")


@pytest.mark.parametrize("status", [403, 500])
def test_failed_invalidation_raises_an_error(status: int) -> None:
    with pytest.raises(httpx.HTTPStatusError, match=str(status)):
        invalidate_catalog_cache(create_context(status, []))
