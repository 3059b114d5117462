"""Generator of the event types, the event union of each producer, and an abstract consumer per queue."""

import re
from collections import defaultdict
from collections.abc import Sequence

from codegen.contracts import ContractError, Contracts, Files
from codegen.naming import get_unqualified_name, render_docstring, to_pascal_case, to_snake_case
from codegen.protobuf import Event

HEADER = '"""Written by `make generate` from api-specs/proto. Do not edit."""\n\n'
PACKAGE = "delivery.events.v1"


def get_constant_name(event: Event) -> str:
    """Return the name of the event type's constant: ORDER_PAID."""
    return to_snake_case(get_unqualified_name(event.message)).upper()


def get_handler_name(event: Event) -> str:
    """Return the name of the event's handler method: on_order_paid."""
    return f"on_{get_constant_name(event).lower()}"


def validate_events(events: Sequence[Event]) -> None:
    """Raise ContractError for a duplicate type, or a queue name that is not <service>.<purpose>."""
    by_type: dict[str, str] = {}
    for event in events:
        if event.type in by_type:
            raise ContractError(f"{event.message} and {by_type[event.type]} have the same type {event.type}")
        by_type[event.type] = event.message
        for queue in event.all_queues:
            if not re.fullmatch(r"[a-z]+\.[a-z_]+", queue):
                raise ContractError(f"{event.message}: the queue name {queue!r} is not <service>.<purpose>")


def render_event_types(events: Sequence[Event]) -> str:
    """Render `events/__init__.py`."""
    names = sorted(get_unqualified_name(event.message) for event in events)
    producers: defaultdict[str, list[str]] = defaultdict(list)
    lines = [
        HEADER,
        "from typing import Any\n\n",
        f"from generated.proto.delivery.events.v1 import {', '.join(names)}\n",
        "from services.runtime.messaging.events import EventType\n\n",
    ]
    for event in events:
        name = get_unqualified_name(event.message)
        producers[event.producer].append(name)
        priority_queue = render_priority_queue_argument(event)
        lines.append(
            f"{get_constant_name(event)}: EventType[{name}] = EventType({event.type!r}, {name}, {event.producer!r}, "
            f"{tuple(event.queues)!r}, lambda event: {render_subject_expression(event)}{priority_queue})\n"
            f"{render_docstring(event.comment, 0)}\n"
        )
    lines.append("EVENTS: dict[type[Any], EventType[Any]] = {\n")
    lines += [f"    {get_unqualified_name(event.message)}: {get_constant_name(event)},\n" for event in events]
    lines.append("}\n\n")
    for producer, published in sorted(producers.items()):
        lines.append(
            f"type {to_pascal_case(producer)}Event = {' | '.join(published)}\n"
            f'"""Events that {producer} publishes."""\n\n'
        )
    return "".join(lines)


def render_subject_expression(event: Event) -> str:
    """Render the expression of the CloudEvents subject; it is empty if a sub-message is absent."""
    *path, last = event.subject.split(".")
    guard = " and ".join(f"event.{'.'.join(path[: i + 1])}" for i in range(len(path)))
    value = ".".join(["event", *path, last])
    return f"{value} if {guard} else ''" if guard else value


def render_priority_queue_argument(event: Event) -> str:
    """Render the priority_queue argument of EventType, if any."""
    return f", priority_queue={event.priority_queue!r}" if event.priority_queue else ""


def render_consumers(events: Sequence[Event]) -> str:
    """Render `events/consumers.py`."""
    queues: defaultdict[str, list[Event]] = defaultdict(list)
    for event in events:
        for queue in event.all_queues:
            queues[queue].append(event)
    consumed = [event for event in events if event.all_queues]
    constants, names = map(get_constant_name, consumed), [get_unqualified_name(event.message) for event in consumed]
    lines = [
        HEADER,
        "from abc import abstractmethod\nfrom collections.abc import Mapping\nfrom typing import Any, ClassVar\n\n",
        f"from generated.events import {', '.join(sorted(constants))}\n",
        f"from generated.proto.delivery.events.v1 import {', '.join(sorted(names))}\n",
        "from services.runtime.messaging.consumer import Consumer\n",
        "from services.runtime.messaging.events import EventType, MessageMetadata\n\n",
    ]
    for queue, group in sorted(queues.items()):
        table = ", ".join(
            f"{event.type!r}: ({get_constant_name(event)}, {get_handler_name(event)!r})" for event in group
        )
        lines.append(
            f"class {to_pascal_case(queue)}Consumer(Consumer):\n"
            f'    """Consumer of the queue `{queue}`. Delivery is unordered and at least once."""\n\n'
            f"    QUEUE: ClassVar[str] = {queue!r}\n"
            f"    EVENTS: ClassVar[Mapping[str, tuple[EventType[Any], str]]] = {{{table}}}\n\n"
        )
        for event in group:
            lines.append(
                "    @abstractmethod\n"
                f"    async def {get_handler_name(event)}(\n"
                f"        self, event: {get_unqualified_name(event.message)}, delivery: MessageMetadata\n"
                "    ) -> None:\n"
                f"{render_docstring(event.comment, 8)}\n"
            )
    return "".join(lines)


def generate(contracts: Contracts) -> Files:
    """Generate `events/__init__.py` and `events/consumers.py`."""
    events = contracts.protos.events
    validate_events(events)
    return {"events/__init__.py": render_event_types(events), "events/consumers.py": render_consumers(events)}
