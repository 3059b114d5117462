"""Generator of the event types, the event union of each producer, and an abstract consumer per queue."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from codegen.contracts import ContractError, Contracts, Files
from codegen.naming import get_constant_name, render_docstring, to_pascal_case
from codegen.protobuf import Event
from codegen.rpc.imported_messages import ImportedMessages
from codegen.rpc.python_names import get_attribute_name

HEADER = '"""Written by `make generate` from api-specs/proto. Do not edit."""\n\n'
MAX_TYPE_LENGTH = 255
"""Maximum length of a routing key in AMQP."""

TYPES_OWN_NAMES = ("Any", "EventType", "EVENTS")
CONSUMERS_OWN_NAMES = ("abstractmethod", "Mapping", "Any", "ClassVar", "Consumer", "EventType", "MessageMetadata")


def get_handler_name(event: Event) -> str:
    """Return the name of the event's handler method: on_loan_started."""
    return f"on_{get_constant_name(event.name).lower()}"


def get_consumer_name(queue: str) -> str:
    """Convert loans.history to LoansHistoryConsumer."""
    return f"{to_pascal_case(queue)}Consumer"


def get_union_name(producer: str) -> str:
    """Convert loans to LoansEvent."""
    return f"{to_pascal_case(producer)}Event"


def validate_events(events: Sequence[Event]) -> None:
    """Raise ContractError with all invalid or equal names of types, constants and queues."""
    messages = [
        f"{event.location}: {event.message}: {problem}".removeprefix(": ")
        for event in events
        for problem in _find_problems(event)
    ]
    constants: dict[str, str] = {"EVENTS": "the table of all events"}
    types: dict[str, str] = {}
    consumers: dict[str, str] = {}
    for event in events:
        for names, name, owner, kind in (
            (types, event.type, event.message, "type"),
            (constants, get_constant_name(event.name), event.message, "constant"),
            *((consumers, get_consumer_name(queue), queue, "consumer") for queue in event.all_queues),
        ):
            first = names.setdefault(name, owner)
            if first != owner:
                text = f"{event.location}: {owner} and {first} have the same {kind} {name}; rename one"
                messages.append(text.removeprefix(": "))
    if messages:
        raise ContractError(*messages)


def _find_problems(event: Event) -> Iterator[str]:
    if not re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", event.type) or len(event.type) > MAX_TYPE_LENGTH:
        yield f"the type {event.type!r} is no routing key; write words of A-Z, a-z, 0-9, - and _ with dots between"
    for queue in event.all_queues:
        if not re.fullmatch(r"[a-z]+\.[a-z_]+", queue):
            yield f"the queue name {queue!r} is not <service>.<purpose> of a-z and _; rename the queue"
    if len(set(event.all_queues)) < len(event.all_queues):
        yield "a queue occurs twice; delete one"
    if "unspecified" in event.subscribers or len(set(event.subscribers)) < len(event.subscribers):
        yield "the subscribers are not different services; correct them"


def render_event_types(events: Sequence[Event]) -> str:
    """Render `events/__init__.py`."""
    unions = [get_union_name(event.producer) for event in events]
    names = create_payload_imports(
        events, [*TYPES_OWN_NAMES, *(get_constant_name(event.name) for event in events), *unions]
    )
    producers: defaultdict[str, list[str]] = defaultdict(list)
    lines = [
        HEADER,
        "from typing import Any\n\n",
        f"{names.render_imports()}\n",
        "from services.runtime.messaging.events import EventType\n\n",
    ]
    for event in events:
        name = names[event.message]
        producers[event.producer].append(name)
        subject, priority_queue = render_subject_expression(event), render_priority_queue_argument(event)
        lines.append(
            f"{get_constant_name(event.name)}: EventType[{name}] = EventType({event.type!r}, {name}, "
            f"{event.producer!r}, {tuple(event.queues)!r}, lambda event: {subject}{priority_queue})\n"
            f"{render_docstring(event.comment, 0)}\n"
        )
    lines.append("EVENTS: dict[type[Any], EventType[Any]] = {\n")
    lines += [f"    {names[event.message]}: {get_constant_name(event.name)},\n" for event in events]
    lines.append("}\n\n")
    for producer, published in sorted(producers.items()):
        lines.append(
            f'type {get_union_name(producer)} = {" | ".join(published)}\n"""Events that {producer} publishes."""\n\n'
        )
    return "".join(lines)


def create_payload_imports(events: Sequence[Event], own_names: Iterable[str]) -> ImportedMessages:
    """Return the imports of the events' messages; the other names of the module take precedence."""
    return ImportedMessages([event.message for event in events], own_names)


def render_subject_expression(event: Event) -> str:
    """Render the expression of the CloudEvents subject; it is empty if a sub-message is absent.

    It compares with None, since the truth value of a message compares all of its fields.
    """
    *path, last = map(get_attribute_name, event.subject.split("."))
    guard = " and ".join(f"event.{'.'.join(path[: i + 1])} is not None" for i in range(len(path)))
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
    constants = [get_constant_name(event.name) for event in consumed]
    names = create_payload_imports(consumed, [*CONSUMERS_OWN_NAMES, *constants, *map(get_consumer_name, queues)])
    lines = [
        HEADER,
        "from abc import abstractmethod\nfrom collections.abc import Mapping\nfrom typing import Any, ClassVar\n\n",
        f"from generated.events import {', '.join(sorted(constants))}\n",
        f"{names.render_imports()}\n",
        "from services.runtime.messaging.consumer import Consumer\n",
        "from services.runtime.messaging.events import EventType, MessageMetadata\n\n",
    ]
    for queue, group in sorted(queues.items()):
        table = ", ".join(
            f"{event.type!r}: ({get_constant_name(event.name)}, {get_handler_name(event)!r})" for event in group
        )
        lines.append(
            f"class {get_consumer_name(queue)}(Consumer):\n"
            f'    """Consumer of the queue `{queue}`. Delivery is unordered and at least once."""\n\n'
            f"    QUEUE: ClassVar[str] = {queue!r}\n"
            f"    EVENTS: ClassVar[Mapping[str, tuple[EventType[Any], str]]] = {{{table}}}\n\n"
        )
        for event in group:
            lines.append(
                "    @abstractmethod\n"
                f"    async def {get_handler_name(event)}(\n"
                f"        self, event: {names[event.message]}, delivery: MessageMetadata\n"
                "    ) -> None:\n"
                f"{render_docstring(event.comment, 8)}\n"
            )
    return "".join(lines)


def generate(contracts: Contracts) -> Files:
    """Generate `events/__init__.py` and `events/consumers.py`."""
    events = contracts.protos.events
    validate_events(events)
    return {"events/__init__.py": render_event_types(events), "events/consumers.py": render_consumers(events)}
