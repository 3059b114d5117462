"""Spans of recorded traces, built in memory."""

from itertools import count
from typing import Any

from deploy.local.demo.scenario_context import Step
from deploy.local.demo.trace_recorder import RecordedTrace, Span

_numbers = count(1)


def create_span(name: str, service: str, parent: Span | None = None, kind: str = "server", **tags: Any) -> Span:
    """Return a span that starts after all spans created before it; `__` in the name of a tag stands for a dot."""
    number = next(_numbers)
    parent_id = parent.id if parent else ""
    span_tags = {tag.replace("__", "."): value for tag, value in tags.items()}
    return Span(f"{number:016x}", parent_id, service, name, kind, number, span_tags, [])


def create_step(name: str = "POST /api/v1/orders", scenario: str = "confirm", status: int = 201) -> Step:
    """Return a step of the customer."""
    return Step(scenario, "customer", name, status, f"{next(_numbers):032x}")


def record(*spans: Span, step: Step | None = None) -> RecordedTrace:
    """Return a recorded trace of a step."""
    return RecordedTrace(step or create_step(), spans)
