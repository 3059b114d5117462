"""What a run of the scenarios has left on the trace page: the whole trace of each step."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from rich.console import Console

from deploy.local.demo.scenarios import DEMO_PASSWORD, SCENARIOS, ScenarioContext, Step, open_context
from generated.events import EVENTS

TIMEOUT_S = 20.0
"""Seconds until traces that are still growing, or have holes, count as broken."""

QUIET_PERIOD_S = 2.5
"""Seconds without a new span after which a trace is whole: longer than anybody keeps spans back."""

QUEUES_BY_EVENT_TYPE = {kind.type: kind.queues for kind in EVENTS.values()}


@dataclass(frozen=True)
class Span:
    """One span; `links` are the spans it links to."""

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
        """Whether it ended in an error."""
        return self.tags.get("error") is True


@dataclass(frozen=True)
class RecordedTrace:
    """A step, and the spans of its trace."""

    step: Step
    spans: Sequence[Span]


class IncompleteTraces(Exception):
    """Traces that never became whole; the message says what is missing."""


def parse_trace(trace: Mapping[str, Any]) -> list[Span]:
    """The spans of a trace in Jaeger's JSON."""
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
    """What is wrong with a trace: spans without their parent, several beginnings, events that nobody has processed."""
    known = {span.id for span in spans}
    found = [
        f"{span.service}: {span.name} has lost its parent"
        for span in spans
        if span.parent_id and span.parent_id not in known
    ]
    beginnings = [span for span in spans if not span.parent_id]
    if len(beginnings) != 1:
        found.append(f"it begins {len(beginnings)} times: {', '.join(span.name for span in beginnings)}")
    processed = {
        (span.tags.get("messaging.destination.name"), span.tags.get("cloudevents.event_id"))
        for span in spans
        if span.kind == "consumer" and not span.is_failed
    }
    for span in spans:
        kind, event = span.tags.get("cloudevents.event_type"), span.tags.get("cloudevents.event_id")
        if span.kind == "producer":
            waiting = [queue for queue in QUEUES_BY_EVENT_TYPE.get(str(kind), ()) if (queue, event) not in processed]
            found += [f"{queue} has not processed {kind}" for queue in waiting]
    return found


def run_scenarios(edge_url: str, sandbox_url: str) -> ScenarioContext:
    """Drives the scenarios, quietly; the world is closed after that. Raises ScenarioFailed."""
    with open_context(edge_url, sandbox_url, Console(quiet=True)) as world:
        invalidate_catalog_cache(world)
        for scenario in SCENARIOS:
            world.run_scenario(scenario)
    return world


def invalidate_catalog_cache(context: ScenarioContext) -> None:
    """Lets the gateway ask for the catalog again, as it does after any wish of an admin, refused or not."""
    account = {"email": "admin@delivery.test", "password": DEMO_PASSWORD}
    session = context.edge.post("/api/v1/sessions", json=account).raise_for_status().json()
    nothing = context.edge.delete(
        "/api/v1/products/999999999", headers={"authorization": f"Bearer {session['access_token']}"}
    )
    if nothing.status_code != httpx.codes.NOT_FOUND:
        nothing.raise_for_status()


def collect_traces(traces_url: str, steps: Iterable[Step]) -> list[RecordedTrace]:
    """The steps with their traces, once each is whole. Raises BrokenTraces when one never is."""
    steps = list(steps)
    until = time.monotonic() + TIMEOUT_S
    with httpx.Client(base_url=traces_url, trust_env=False, timeout=10) as client:
        before, since = -1, time.monotonic()
        while True:
            answers = [client.get(f"/api/traces/{step.trace_id}") for step in steps]
            spans = [parse_trace(answer.json()["data"][0]) if answer.is_success else [] for answer in answers]
            number, now = sum(map(len, spans)), time.monotonic()
            if number != before:
                before, since = number, now
            wrong = [
                f"{step.name} ({step.trace_id}): {fault}"
                for step, found in zip(steps, spans, strict=True)
                for fault in list_trace_errors(found)
            ]
            if now - since >= QUIET_PERIOD_S and not wrong:
                return [RecordedTrace(step, found) for step, found in zip(steps, spans, strict=True)]
            if now > until:
                raise IncompleteTraces("\n".join(wrong) or "spans never cease to arrive")
            time.sleep(0.25)
