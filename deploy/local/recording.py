"""What a run of the scenarios has left on the trace page: the whole trace of each step."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from rich.console import Console

from deploy.local.scenarios import PASSWORD, SCENARIOS, Step, World, opened
from generated.events import EVENTS

PATIENCE = 20.0
"""Seconds until traces that are still growing, or have holes, count as broken."""

SETTLED = 2.5
"""Seconds without a new span after which a trace is whole: longer than anybody keeps spans back."""

QUEUES = {kind.type: kind.queues for kind in EVENTS.values()}


@dataclass(frozen=True)
class Span:
    """One span; `links` are the spans it links to."""

    id: str
    parent: str
    service: str
    name: str
    kind: str
    start: int
    tags: Mapping[str, Any]
    links: Sequence[str]

    @property
    def failed(self) -> bool:
        """Whether it ended in an error."""
        return self.tags.get("error") is True


@dataclass(frozen=True)
class Recorded:
    """A step, and the spans of its trace."""

    step: Step
    spans: Sequence[Span]


class BrokenTraces(Exception):
    """Traces that never became whole; the message says what is missing."""


def read(trace: Mapping[str, Any]) -> list[Span]:
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


def faults(spans: Sequence[Span]) -> list[str]:
    """What is wrong with a trace: spans without their parent, several beginnings, events that nobody has processed."""
    known = {span.id for span in spans}
    found = [
        f"{span.service}: {span.name} has lost its parent" for span in spans if span.parent and span.parent not in known
    ]
    beginnings = [span for span in spans if not span.parent]
    if len(beginnings) != 1:
        found.append(f"it begins {len(beginnings)} times: {', '.join(span.name for span in beginnings)}")
    processed = {
        (span.tags.get("messaging.destination.name"), span.tags.get("cloudevents.event_id"))
        for span in spans
        if span.kind == "consumer" and not span.failed
    }
    for span in spans:
        kind, event = span.tags.get("cloudevents.event_type"), span.tags.get("cloudevents.event_id")
        if span.kind == "producer":
            waiting = [queue for queue in QUEUES.get(str(kind), ()) if (queue, event) not in processed]
            found += [f"{queue} has not processed {kind}" for queue in waiting]
    return found


def drive(edge: str, sandbox: str) -> World:
    """Drives the scenarios, quietly; the world is closed after that. Raises ScenarioFailed."""
    with opened(edge, sandbox, Console(quiet=True)) as world:
        forget_catalog(world)
        for scenario in SCENARIOS:
            world.drive(scenario)
    return world


def forget_catalog(world: World) -> None:
    """Lets the gateway ask for the catalog again, as it does after any wish of an admin, refused or not."""
    account = {"email": "admin@delivery.test", "password": PASSWORD}
    session = world.edge.post("/api/v1/sessions", json=account).raise_for_status().json()
    nothing = world.edge.delete(
        "/api/v1/products/999999999", headers={"authorization": f"Bearer {session['access_token']}"}
    )
    if nothing.status_code != httpx.codes.NOT_FOUND:
        nothing.raise_for_status()


def record(page: str, steps: Iterable[Step]) -> list[Recorded]:
    """The steps with their traces, once each is whole. Raises BrokenTraces when one never is."""
    steps = list(steps)
    until = time.monotonic() + PATIENCE
    with httpx.Client(base_url=page, trust_env=False, timeout=10) as client:
        before, since = -1, time.monotonic()
        while True:
            answers = [client.get(f"/api/traces/{step.trace_id}") for step in steps]
            spans = [read(answer.json()["data"][0]) if answer.is_success else [] for answer in answers]
            number, now = sum(map(len, spans)), time.monotonic()
            if number != before:
                before, since = number, now
            wrong = [
                f"{step.name} ({step.trace_id}): {fault}"
                for step, found in zip(steps, spans, strict=True)
                for fault in faults(found)
            ]
            if now - since >= SETTLED and not wrong:
                return [Recorded(step, found) for step, found in zip(steps, spans, strict=True)]
            if now > until:
                raise BrokenTraces("\n".join(wrong) or "spans never cease to arrive")
            time.sleep(0.25)
