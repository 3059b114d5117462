"""Sequence diagrams of the scenarios, generated from recorded traces.

The output is deterministic: it contains no times, ids or other details that differ between runs.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from deploy.local.demo.scenario_context import ScenarioContext
from deploy.local.demo.scenarios import SCENARIOS
from deploy.local.demo.trace_recorder import RecordedTrace, Span, collect_traces, run_scenarios
from deploy.local.mesh_config import MeshConfig

CACHED_QUERIES = frozenset({"SELECT agents", "SELECT agent_keys"})
"""Queries whose results services cache; they run only on a cache miss and are therefore omitted."""

HUMAN_ACTORS = frozenset({"visitor", "customer", "deliverer"})

STORE_NAMES = {"postgresql": "PostgreSQL", "mongodb": "document store", "memcached": "Memcached"}
BROKER_NAME = "RabbitMQ"
MAX_LINE_CHARS = 70
"""Maximum length of a label line, in characters."""


class Message(NamedTuple):
    """Arrow of a sequence diagram. The arrow "-->>" is a response."""

    source: str
    arrow: str
    target: str
    text: str


def build_messages(recorded_trace: RecordedTrace) -> list[Message]:
    """Return the messages of a trace: synchronous calls depth-first, then events and their consequences."""
    step = recorded_trace.step
    children_by_parent: dict[str, list[Span]] = {}
    for span in _select_relevant_spans(recorded_trace.spans):
        children_by_parent.setdefault(span.parent_id, []).append(span)
    (root,) = children_by_parent[""]
    messages = [Message(step.actor, "->>", root.service, root.name)]
    pending: list[tuple[Span, str]] = []

    def add_calls(span: Span) -> None:
        children = children_by_parent.get(span.id, [])
        pending.extend((child, span.service) for child in children if child.kind in ("producer", "consumer"))
        for child in sorted(children, key=lambda child: child.start_us):
            if child.kind not in ("producer", "consumer"):
                messages.extend(_build_call_messages(child, span))
                add_calls(child)

    add_calls(root)
    messages.append(Message(root.service, "-->>", step.actor, str(step.status)))
    while pending:
        pending.sort(key=lambda each: (each[0].kind == "consumer", _build_sort_key(each[0])))
        span, source = pending.pop(0)
        messages.extend(_build_event_messages(span, source))
        add_calls(span)
    return list(_merge_repeated_messages(messages))


def _select_relevant_spans(spans: Sequence[Span]) -> list[Span]:
    """Return the spans without failed delivery attempts and cached queries."""
    return [
        span
        for span in spans
        if span.tags.get("db.query.summary") not in CACHED_QUERIES and not (span.kind == "consumer" and span.is_failed)
    ]


def _build_sort_key(span: Span) -> tuple[str, str, int]:
    return span.service, span.name, span.start_us


def _build_call_messages(span: Span, parent: Span) -> Iterator[Message]:
    method = span.name.rpartition("/")[2]
    if "db.system.name" in span.tags:
        yield Message(span.service, "->>", STORE_NAMES[span.tags["db.system.name"]], span.name)
    elif "service.peer.name" in span.tags:
        peer = span.tags["service.peer.name"]
        yield Message(span.service, "->>", peer, span.name.removeprefix(f"{peer} "))
    elif span.kind == "server" and span.service != parent.service:
        yield Message(parent.service, "->>", span.service, method)


def _build_event_messages(span: Span, source: str) -> Iterator[Message]:
    if span.kind == "producer":
        yield Message(span.service, "->>", BROKER_NAME, span.name.removeprefix("publish "))
    elif "messaging.system" in span.tags:
        yield Message(
            BROKER_NAME, "->>", span.service, f"{span.tags['cloudevents.event_type']} ({span.name.split()[-1]})"
        )
    else:
        yield Message(source, "->>", span.service, span.name)


def _merge_repeated_messages(messages: list[Message]) -> Iterator[Message]:
    """Merge consecutive messages of one participant to the same store, without duplicate texts."""
    merged: Message | None = None
    for message in messages:
        if merged and merged[:3] == message[:3] and message.target in STORE_NAMES.values():
            if message.text not in merged.text.split(", "):
                merged = merged._replace(text=f"{merged.text}, {message.text}")
            continue
        if merged:
            yield merged
        merged = message
    if merged:
        yield merged


def render_diagram(
    number: int, scenario: Callable[[ScenarioContext], None], recorded_traces: Sequence[RecordedTrace]
) -> str:
    """Return the Markdown page of a scenario. Repeated steps, such as pages of a list, are drawn once."""
    steps: dict[tuple[str, int], list[Message]] = {}
    for each in recorded_traces:
        steps.setdefault((each.step.name, each.step.status), build_messages(each))
    participants = dict.fromkeys(
        name for messages in steps.values() for message in messages for name in (message.source, message.target)
    )
    ids = {name: re.sub(r"\W", "_", name) for name in participants}
    lines = []
    for name in participants:
        kind = "actor" if name in HUMAN_ACTORS else "participant"
        lines.append(f"    {kind} {ids[name]}{f' as {name}' if ids[name] != name else ''}")
    for (name, _), messages in steps.items():
        lines.append(f"    note over {ids[messages[0].source]}: {name}")
        lines += [f"    {ids[each.source]}{each.arrow}{ids[each.target]}: {_wrap_text(each.text)}" for each in messages]
    title = (scenario.__doc__ or "").rstrip(".")
    return "\n".join(
        [
            f"# {number}. {title}",
            "",
            "Generated by `make diagrams` from recorded traces. Do not edit.",
            "",
            "```mermaid",
            "sequenceDiagram",
            *lines,
            "```",
            "",
        ]
    )


def _wrap_text(text: str) -> str:
    lines = [""]
    for word in text.split(", "):
        if lines[-1] and len(lines[-1]) + len(word) > MAX_LINE_CHARS:
            lines.append("")
        lines[-1] += f", {word}" if lines[-1] else word
    return "<br/>".join(lines)


def render_diagrams(recorded_traces: Sequence[RecordedTrace]) -> dict[str, str]:
    """Return the Markdown page of each scenario by file name, such as "5-pay.md"."""
    return {
        f"{number}-{scenario.__name__.replace('_', '-')}.md": render_diagram(
            number, scenario, [each for each in recorded_traces if each.step.scenario == scenario.__name__]
        )
        for number, scenario in enumerate(SCENARIOS, 1)
    }


def main(config: MeshConfig, folder: Path) -> int:
    """Run the scenarios and write their diagrams to a folder. Return the exit code."""
    for name, text in render_diagrams(
        collect_traces(config.traces_url, run_scenarios(config.edge_url, config.sandbox_url).steps)
    ).items():
        (folder / name).write_text(text, encoding="utf-8")
        print(folder / name)
    return 0
