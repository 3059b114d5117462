"""Sequence diagrams of the scenarios, drawn from their recorded traces: what they show has happened.

Times, ids and what differs from run to run stay out of them, so that the same behaviour gives the same file.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from deploy.local.recording import Recorded, Span, drive, record
from deploy.local.scenarios import SCENARIOS, World
from deploy.local.state import State

REMEMBERED = frozenset({"SELECT agents", "SELECT agent_keys"})
"""What a service asks only when it does not remember; whether it does depends on when it was asked last."""

PEOPLE = frozenset({"visitor", "customer", "deliverer"})

STORES = {"postgresql": "PostgreSQL", "mongodb": "document store", "memcached": "Memcached"}
BROKER = "RabbitMQ"
LONGEST = 70
"""Characters of a line; longer ones are broken."""


class Arrow(NamedTuple):
    """Who says what to whom; "-->>" is an answer."""

    source: str
    kind: str
    target: str
    said: str


def arrows(recorded: Recorded) -> list[Arrow]:
    """What happened in one trace, as a tree: what follows by the broker comes after what was waited for."""
    step = recorded.step
    below: dict[str, list[Span]] = {}
    for span in _effective(recorded.spans):
        below.setdefault(span.parent, []).append(span)
    (root,) = below[""]
    found = [Arrow(step.actor, "->>", root.service, root.name)]
    later: list[tuple[Span, str]] = []

    def walk(span: Span) -> None:
        children = below.get(span.id, [])
        later.extend((child, span.service) for child in children if child.kind in ("producer", "consumer"))
        for child in sorted(children, key=lambda child: child.start):
            if child.kind not in ("producer", "consumer"):
                found.extend(_arrow(child, span))
                walk(child)

    walk(root)
    found.append(Arrow(root.service, "-->>", step.actor, str(step.status)))
    while later:
        later.sort(key=lambda each: (each[0].kind == "consumer", _key(each[0])))
        span, source = later.pop(0)
        found.extend(_later(span, source))
        walk(span)
    return list(_joined(found))


def _effective(spans: Sequence[Span]) -> list[Span]:
    """Without attempts that failed and were made again, and without what is only sometimes asked."""
    return [
        span
        for span in spans
        if span.tags.get("db.query.summary") not in REMEMBERED and not (span.kind == "consumer" and span.failed)
    ]


def _key(span: Span) -> tuple[str, str, int]:
    return span.service, span.name, span.start


def _arrow(span: Span, parent: Span) -> Iterator[Arrow]:
    said = span.name.rpartition("/")[2]
    if "db.system.name" in span.tags:
        yield Arrow(span.service, "->>", STORES[span.tags["db.system.name"]], span.name)
    elif "service.peer.name" in span.tags:
        peer = span.tags["service.peer.name"]
        yield Arrow(span.service, "->>", peer, span.name.removeprefix(f"{peer} "))
    elif span.kind == "server" and span.service != parent.service:
        yield Arrow(parent.service, "->>", span.service, said)


def _later(span: Span, source: str) -> Iterator[Arrow]:
    if span.kind == "producer":
        yield Arrow(span.service, "->>", BROKER, span.name.removeprefix("publish "))
    elif "messaging.system" in span.tags:
        yield Arrow(BROKER, "->>", span.service, f"{span.tags['cloudevents.event_type']} ({span.name.split()[-1]})")
    else:
        yield Arrow(source, "->>", span.service, span.name)


def _joined(found: list[Arrow]) -> Iterator[Arrow]:
    """Neighbours between the same two, to a store, become one; repeats are said once."""
    pending: Arrow | None = None
    for arrow in found:
        if pending and pending[:3] == arrow[:3] and arrow.target in STORES.values():
            if arrow.said not in pending.said.split(", "):
                pending = pending._replace(said=f"{pending.said}, {arrow.said}")
            continue
        if pending:
            yield pending
        pending = arrow
    if pending:
        yield pending


def draw(number: int, scenario: Callable[[World], None], recorded: Sequence[Recorded]) -> str:
    """The page of one scenario. A step that is made several times, as pages of a list are, is drawn once."""
    steps: dict[tuple[str, int], list[Arrow]] = {}
    for each in recorded:
        steps.setdefault((each.step.name, each.step.status), arrows(each))
    everybody = dict.fromkeys(
        name for found in steps.values() for arrow in found for name in (arrow.source, arrow.target)
    )
    ids = {name: re.sub(r"\W", "_", name) for name in everybody}
    lines = [
        f"    {'actor' if name in PEOPLE else 'participant'} {ids[name]}{f' as {name}' if ids[name] != name else ''}"
        for name in everybody
    ]
    for (name, _), found in steps.items():
        lines.append(f"    note over {ids[found[0].source]}: {name}")
        lines += [f"    {ids[a.source]}{a.kind}{ids[a.target]}: {_broken(a.said)}" for a in found]
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


def _broken(said: str) -> str:
    lines = [""]
    for word in said.split(", "):
        if lines[-1] and len(lines[-1]) + len(word) > LONGEST:
            lines.append("")
        lines[-1] += f", {word}" if lines[-1] else word
    return "<br/>".join(lines)


def pages(recorded: Sequence[Recorded]) -> dict[str, str]:
    """Each scenario's page, by the name of its file: 5-pay.md."""
    return {
        f"{number}-{scenario.__name__.replace('_', '-')}.md": draw(
            number, scenario, [each for each in recorded if each.step.scenario == scenario.__name__]
        )
        for number, scenario in enumerate(SCENARIOS, 1)
    }


def main(state: State, folder: Path) -> int:
    """Drives the scenarios and draws them."""
    for name, text in pages(record(state.traces, drive(state.edge, state.sandbox).steps)).items():
        (folder / name).write_text(text)
        print(folder / name)
    return 0
