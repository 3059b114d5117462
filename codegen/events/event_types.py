"""The broker's side of the contract: a table of event types, who may publish what, and a consumer class per queue."""

import re
from collections import defaultdict
from collections.abc import Sequence

from codegen.contracts import ContractError, Contracts, Files
from codegen.protobuf import Event

HEADER = '"""Written by `make generate` from api-specs/proto. Do not edit."""\n\n'
PACKAGE = "delivery.events.v1"


def snake(name: str) -> str:
    """OrderPaid → order_paid."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def pascal(name: str) -> str:
    """orders.ready_reported → OrdersReadyReported."""
    return "".join(part.title() for part in re.split(r"[._]", name))


def unqualified_name(event: Event) -> str:
    """The message's name without its package."""
    return event.message.rsplit(".", 1)[1]


def validate_events(events: Sequence[Event]) -> None:
    """A type is taken once; a queue belongs to a service, and its name says to which."""
    by_type: dict[str, str] = {}
    for event in events:
        if event.type in by_type:
            raise ContractError(f"{event.message} and {by_type[event.type]} both have the type {event.type}")
        by_type[event.type] = event.message
        for queue in event.all_queues:
            if not re.fullmatch(r"[a-z]+\.[a-z_]+", queue):
                raise ContractError(f"{event.message}: the queue {queue!r} is not <service>.<purpose>")


def render_event_types(events: Sequence[Event]) -> str:
    """`generated/events/__init__.py`."""
    producers: defaultdict[str, list[str]] = defaultdict(list)
    lines = [
        HEADER,
        "from typing import Any\n\n",
        f"from generated.proto.delivery.events.v1 import {', '.join(sorted(map(unqualified_name, events)))}\n",
        "from services.runtime.messaging.events import EventType\n\n",
    ]
    for event in events:
        name = unqualified_name(event)
        producers[event.producer].append(name)
        lines.append(
            f"{snake(name).upper()}: EventType[{name}] = EventType({event.type!r}, {name}, {event.producer!r}, "
            f"{tuple(event.queues)!r}, lambda event: {subject_expression(event)}{priority_queue_argument(event)})\n"
            f'"""{event.comment}"""\n\n'
        )
    lines.append("EVENTS: dict[type[Any], EventType[Any]] = {\n")
    lines += [f"    {unqualified_name(event)}: {snake(unqualified_name(event)).upper()},\n" for event in events]
    lines.append("}\n\n")
    for producer, names in sorted(producers.items()):
        lines.append(f'type {pascal(producer)}Event = {" | ".join(names)}\n"""What {producer} may publish."""\n\n')
    return "".join(lines)


def subject_expression(event: Event) -> str:
    """The expression that reads the CloudEvents subject; a sub-message that was never set has none."""
    *path, last = event.subject.split(".")
    guard = " and ".join(f"event.{'.'.join(path[: i + 1])}" for i in range(len(path)))
    value = ".".join(["event", *path, last])
    return f"{value} if {guard} else ''" if guard else value


def priority_queue_argument(event: Event) -> str:
    """The last argument of the event's type, where it has one."""
    return f", priority_queue={event.priority_queue!r}" if event.priority_queue else ""


def render_consumers(events: Sequence[Event]) -> str:
    """`generated/events/consumers.py`."""
    queues: defaultdict[str, list[Event]] = defaultdict(list)
    for event in events:
        for queue in event.all_queues:
            queues[queue].append(event)
    names = sorted({unqualified_name(event) for group in queues.values() for event in group})
    lines = [
        HEADER,
        "from abc import abstractmethod\nfrom collections.abc import Mapping\nfrom typing import Any, ClassVar\n\n",
        f"from generated.events import {', '.join(snake(name).upper() for name in names)}\n",
        f"from generated.proto.delivery.events.v1 import {', '.join(names)}\n",
        "from services.runtime.messaging.consumer import Consumer\nfrom services.runtime.messaging.events import EventType, MessageMetadata\n\n",
    ]
    for queue, group in sorted(queues.items()):
        table = ", ".join(
            f"{e.type!r}: ({snake(unqualified_name(e)).upper()}, {snake(unqualified_name(e))!r})" for e in group
        )
        lines.append(
            f"class {pascal(queue)}Consumer(Consumer):\n"
            f'    """Takes what arrives in the queue `{queue}`, in any order, and repeated."""\n\n'
            f"    QUEUE: ClassVar[str] = {queue!r}\n"
            f"    EVENTS: ClassVar[Mapping[str, tuple[EventType[Any], str]]] = {{{table}}}\n\n"
        )
        for event in group:
            lines.append(
                "    @abstractmethod\n"
                f"    async def {snake(unqualified_name(event))}(self, event: {unqualified_name(event)}, delivery: MessageMetadata) -> None:\n"
                f'        """{event.comment}"""\n\n'
            )
    return "".join(lines)


def generate(contracts: Contracts) -> Files:
    """Types, producers and consumers of every message that has an event policy."""
    events = contracts.protos.events
    validate_events(events)
    return {"events/__init__.py": render_event_types(events), "events/consumers.py": render_consumers(events)}
