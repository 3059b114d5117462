"""Sequence diagrams of the scenarios, drawn from their recorded traces: what they show has happened.

Times, ids and what differs from run to run stay out of them, so that the same behaviour gives the same file.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from deploy.local.demo.scenarios import SCENARIOS, ScenarioContext
from deploy.local.demo.trace_recorder import RecordedTrace, Span, collect_traces, run_scenarios
from deploy.local.mesh_config import MeshConfig

CACHED_QUERIES = frozenset({"SELECT agents", "SELECT agent_keys"})
"""What a service asks only when it does not remember; whether it does depends on when it was asked last."""

HUMAN_ACTORS = frozenset({"visitor", "customer", "deliverer"})

STORE_NAMES = {"postgresql": "PostgreSQL", "mongodb": "document store", "memcached": "Memcached"}
BROKER_NAME = "RabbitMQ"
MAX_LINE_CHARS = 70
"""Characters of a line; longer ones are broken."""


class Message(NamedTuple):
    """Who says what to whom; "-->>" is an answer."""

    source: str
    arrow: str
    target: str
    text: str


def build_messages(recorded_trace: RecordedTrace) -> list[Message]:
    """What happened in one trace, as a tree: what follows by the broker comes after what was waited for."""
    step = recorded_trace.step
    below: dict[str, list[Span]] = {}
    for span in _select_relevant_spans(recorded_trace.spans):
        below.setdefault(span.parent_id, []).append(span)
    (root,) = below[""]
    found = [Message(step.actor, "->>", root.service, root.name)]
    later: list[tuple[Span, str]] = []

    def walk(span: Span) -> None:
        children = below.get(span.id, [])
        later.extend((child, span.service) for child in children if child.kind in ("producer", "consumer"))
        for child in sorted(children, key=lambda child: child.start_us):
            if child.kind not in ("producer", "consumer"):
                found.extend(_build_call_messages(child, span))
                walk(child)

    walk(root)
    found.append(Message(root.service, "-->>", step.actor, str(step.status)))
    while later:
        later.sort(key=lambda each: (each[0].kind == "consumer", _sort_key(each[0])))
        span, source = later.pop(0)
        found.extend(_build_event_messages(span, source))
        walk(span)
    return list(_merge_repeated_messages(found))


def _select_relevant_spans(spans: Sequence[Span]) -> list[Span]:
    """Without attempts that failed and were made again, and without what is only sometimes asked."""
    return [
        span
        for span in spans
        if span.tags.get("db.query.summary") not in CACHED_QUERIES and not (span.kind == "consumer" and span.is_failed)
    ]


def _sort_key(span: Span) -> tuple[str, str, int]:
    return span.service, span.name, span.start_us


def _build_call_messages(span: Span, parent: Span) -> Iterator[Message]:
    said = span.name.rpartition("/")[2]
    if "db.system.name" in span.tags:
        yield Message(span.service, "->>", STORE_NAMES[span.tags["db.system.name"]], span.name)
    elif "service.peer.name" in span.tags:
        peer = span.tags["service.peer.name"]
        yield Message(span.service, "->>", peer, span.name.removeprefix(f"{peer} "))
    elif span.kind == "server" and span.service != parent.service:
        yield Message(parent.service, "->>", span.service, said)


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
    """Neighbours between the same two, to a store, become one; repeats are said once."""
    pending: Message | None = None
    for arrow in messages:
        if pending and pending[:3] == arrow[:3] and arrow.target in STORE_NAMES.values():
            if arrow.text not in pending.text.split(", "):
                pending = pending._replace(text=f"{pending.text}, {arrow.text}")
            continue
        if pending:
            yield pending
        pending = arrow
    if pending:
        yield pending


def render_diagram(
    number: int, scenario: Callable[[ScenarioContext], None], recorded_traces: Sequence[RecordedTrace]
) -> str:
    """The page of one scenario. A step that is made several times, as pages of a list are, is drawn once."""
    steps: dict[tuple[str, int], list[Message]] = {}
    for each in recorded_traces:
        steps.setdefault((each.step.name, each.step.status), build_messages(each))
    everybody = dict.fromkeys(
        name for found in steps.values() for arrow in found for name in (arrow.source, arrow.target)
    )
    ids = {name: re.sub(r"\W", "_", name) for name in everybody}
    lines = [
        f"    {'actor' if name in HUMAN_ACTORS else 'participant'} {ids[name]}{f' as {name}' if ids[name] != name else ''}"
        for name in everybody
    ]
    for (name, _), found in steps.items():
        lines.append(f"    note over {ids[found[0].source]}: {name}")
        lines += [f"    {ids[a.source]}{a.arrow}{ids[a.target]}: {_wrap_text(a.text)}" for a in found]
    title = (scenario.__doc__ or "").rstrip(".")
    return "\n".join(
        [
            f"# {number}. {title}",
            "",
            "Drawn by `make diagrams` from the traces of a run: edit nothing here.",
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
    """Each scenario's page, by the name of its file: 5-pay.md."""
    return {
        f"{number}-{scenario.__name__.replace('_', '-')}.md": render_diagram(
            number, scenario, [each for each in recorded_traces if each.step.scenario == scenario.__name__]
        )
        for number, scenario in enumerate(SCENARIOS, 1)
    }


def main(config: MeshConfig, folder: Path) -> int:
    """Drives the scenarios and draws them."""
    for name, text in render_diagrams(
        collect_traces(config.traces_url, run_scenarios(config.edge_url, config.sandbox_url).steps)
    ).items():
        (folder / name).write_text(text)
        print(folder / name)
    return 0
