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


def camel(name: str) -> str:
    """orders.ready_reported → OrdersReadyReported."""
    return "".join(part.title() for part in re.split(r"[._]", name))


def short(event: Event) -> str:
    """The message's name without its package."""
    return event.message.rsplit(".", 1)[1]


def check(events: Sequence[Event]) -> None:
    """A type is taken once; a queue belongs to a service, and its name says to which."""
    by_type: dict[str, str] = {}
    for event in events:
        if event.type in by_type:
            raise ContractError(f"{event.message} and {by_type[event.type]} both have the type {event.type}")
        by_type[event.type] = event.message
        for queue in event.taken_from:
            if not re.fullmatch(r"[a-z]+\.[a-z_]+", queue):
                raise ContractError(f"{event.message}: the queue {queue!r} is not <service>.<purpose>")


def types(events: Sequence[Event]) -> str:
    """`generated/events/__init__.py`."""
    producers: defaultdict[str, list[str]] = defaultdict(list)
    lines = [
        HEADER,
        "from typing import Any\n\n",
        f"from generated.proto.delivery.events.v1 import {', '.join(sorted(map(short, events)))}\n",
        "from services.runtime.events import EventType\n\n",
    ]
    for event in events:
        name = short(event)
        producers[event.producer].append(name)
        lines.append(
            f"{snake(name).upper()}: EventType[{name}] = EventType({event.type!r}, {name}, {event.producer!r}, "
            f"{tuple(event.queues)!r}, lambda event: {subject(event)}{express(event)})\n"
            f'"""{event.comment}"""\n\n'
        )
    lines.append("EVENTS: dict[type[Any], EventType[Any]] = {\n")
    lines += [f"    {short(event)}: {snake(short(event)).upper()},\n" for event in events]
    lines.append("}\n\n")
    for producer, names in sorted(producers.items()):
        lines.append(f'type {camel(producer)}Event = {" | ".join(names)}\n"""What {producer} may publish."""\n\n')
    return "".join(lines)


def subject(event: Event) -> str:
    """The expression that reads the CloudEvents subject; a sub-message that was never set has none."""
    *path, last = event.subject.split(".")
    guard = " and ".join(f"event.{'.'.join(path[: i + 1])}" for i in range(len(path)))
    value = ".".join(["event", *path, last])
    return f"{value} if {guard} else ''" if guard else value


def express(event: Event) -> str:
    """The last argument of the event's type, where it has one."""
    return f", express={event.express!r}" if event.express else ""


def consumers(events: Sequence[Event]) -> str:
    """`generated/events/consumers.py`."""
    queues: defaultdict[str, list[Event]] = defaultdict(list)
    for event in events:
        for queue in event.taken_from:
            queues[queue].append(event)
    names = sorted({short(event) for group in queues.values() for event in group})
    lines = [
        HEADER,
        "from abc import abstractmethod\nfrom collections.abc import Mapping\nfrom typing import Any, ClassVar\n\n",
        f"from generated.events import {', '.join(snake(name).upper() for name in names)}\n",
        f"from generated.proto.delivery.events.v1 import {', '.join(names)}\n",
        "from services.runtime.consumer import Consumer\nfrom services.runtime.events import Delivery, EventType\n\n",
    ]
    for queue, group in sorted(queues.items()):
        table = ", ".join(f"{e.type!r}: ({snake(short(e)).upper()}, {snake(short(e))!r})" for e in group)
        lines.append(
            f"class {camel(queue)}Consumer(Consumer):\n"
            f'    """Takes what arrives in the queue `{queue}`, in any order, and repeated."""\n\n'
            f"    QUEUE: ClassVar[str] = {queue!r}\n"
            f"    EVENTS: ClassVar[Mapping[str, tuple[EventType[Any], str]]] = {{{table}}}\n\n"
        )
        for event in group:
            lines.append(
                "    @abstractmethod\n"
                f"    async def {snake(short(event))}(self, event: {short(event)}, delivery: Delivery) -> None:\n"
                f'        """{event.comment}"""\n\n'
            )
    return "".join(lines)


def generate(contracts: Contracts) -> Files:
    """Types, producers and consumers of every message that has an event policy."""
    events = contracts.protos.events
    check(events)
    return {"events/__init__.py": types(events), "events/consumers.py": consumers(events)}
