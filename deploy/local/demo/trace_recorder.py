"""Recorder of the complete trace of each scenario step, read from the trace viewer."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from rich.console import Console

from deploy.local.demo.scenario_context import ScenarioContext, Step, open_context
from deploy.local.demo.scenarios import DEMO_PASSWORD, SCENARIOS
from generated.events import EVENTS

TIMEOUT_S = 20.0
"""Seconds to wait for complete traces."""

QUIET_PERIOD_S = 2.5
"""Seconds without a new span after which a trace is complete; longer than the export delay of any process."""

QUEUES_BY_EVENT_TYPE = {kind.type: kind.queues for kind in EVENTS.values()}


@dataclass(frozen=True)
class Span:
    """Span of a trace; `links` contains the ids of linked spans."""

    id: str
    parent_id: str
    service: str
    name: str
    kind: str
    start_us: int
    tags: Mapping[str, Any]
    links: Sequence[str]

    @property
    def is_failed(self) -> bool:
        """Return whether the span ended with an error."""
        return self.tags.get("error") is True


@dataclass(frozen=True)
class RecordedTrace:
    """Scenario step and the spans of its trace."""

    step: Step
    spans: Sequence[Span]


class IncompleteTraces(Exception):
    """Traces were not complete in time; the message lists the missing parts."""


def parse_trace(trace: Mapping[str, Any]) -> list[Span]:
    """Return the spans of a trace in Jaeger's JSON format."""
    return [
        Span(
            span["spanID"],
            next((each["spanID"] for each in span["references"] if each["refType"] == "CHILD_OF"), ""),
            trace["processes"][span["processID"]]["serviceName"],
            span["operationName"],
            next((str(tag["value"]) for tag in span["tags"] if tag["key"] == "span.kind"), ""),
            span["startTime"],
            {tag["key"]: tag["value"] for tag in span["tags"]},
            [each["spanID"] for each in span["references"] if each["refType"] == "FOLLOWS_FROM"],
        )
        for span in trace["spans"]
    ]


def list_trace_errors(spans: Sequence[Span]) -> list[str]:
    """Return the errors of a trace: orphan spans, several root spans, and unprocessed events."""
    ids = {span.id for span in spans}
    errors = [
        f"{span.service}: {span.name} has no parent span"
        for span in spans
        if span.parent_id and span.parent_id not in ids
    ]
    roots = [span for span in spans if not span.parent_id]
    if len(roots) != 1:
        errors.append(f"{len(roots)} root spans: {', '.join(span.name for span in roots)}")
    processed = {
        (span.tags.get("messaging.destination.name"), span.tags.get("cloudevents.event_id"))
        for span in spans
        if span.kind == "consumer" and not span.is_failed
    }
    for span in spans:
        event_type, event_id = span.tags.get("cloudevents.event_type"), span.tags.get("cloudevents.event_id")
        if span.kind == "producer":
            queues = QUEUES_BY_EVENT_TYPE.get(str(event_type), ())
            errors += [
                f"{queue} has not processed {event_type}" for queue in queues if (queue, event_id) not in processed
            ]
    return errors


def run_scenarios(edge_url: str, sandbox_url: str) -> ScenarioContext:
    """Run the scenarios without output. The clients of the returned context are closed. Raises ScenarioFailed."""
    with open_context(edge_url, sandbox_url, Console(quiet=True)) as context:
        invalidate_catalog_cache(context)
        for scenario in SCENARIOS:
            context.run_scenario(scenario)
    return context


def invalidate_catalog_cache(context: ScenarioContext) -> None:
    """Invalidate the gateway's catalog cache by an admin request; the request does so even if it fails."""
    account = {"email": "admin@delivery.test", "password": DEMO_PASSWORD}
    session = context.edge.post("/api/v1/sessions", json=account).raise_for_status().json()
    response = context.edge.delete(
        "/api/v1/products/999999999", headers={"authorization": f"Bearer {session['access_token']}"}
    )
    if response.status_code != httpx.codes.NOT_FOUND:
        response.raise_for_status()


def collect_traces(traces_url: str, steps: Iterable[Step]) -> list[RecordedTrace]:
    """Return the steps with their traces as soon as all are complete. Raises IncompleteTraces after TIMEOUT_S."""
    steps = list(steps)
    deadline = time.monotonic() + TIMEOUT_S
    with httpx.Client(base_url=traces_url, trust_env=False, timeout=10) as client:
        previous_count, changed_at = -1, time.monotonic()
        while True:
            responses = [client.get(f"/api/traces/{step.trace_id}") for step in steps]
            traces = [parse_trace(response.json()["data"][0]) if response.is_success else [] for response in responses]
            count, now = sum(map(len, traces)), time.monotonic()
            if count != previous_count:
                previous_count, changed_at = count, now
            errors = [
                f"{step.name} ({step.trace_id}): {error}"
                for step, spans in zip(steps, traces, strict=True)
                for error in list_trace_errors(spans)
            ]
            if now - changed_at >= QUIET_PERIOD_S and not errors:
                return [RecordedTrace(step, spans) for step, spans in zip(steps, traces, strict=True)]
            if now > deadline:
                raise IncompleteTraces("\n".join(errors) or "new spans still arrive")
            time.sleep(0.25)
