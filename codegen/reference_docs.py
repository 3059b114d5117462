"""The reference of what services say to each other: every RPC with its policy, every event with its queues."""

from collections.abc import Iterator

from codegen.contracts import Contracts, Files
from codegen.protobuf import Event, Method, Service


def one_line(text: str) -> str:
    """A comment in one line of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def unqualified_name(full: str) -> str:
    """A message's name without its package."""
    return full.rsplit(".", 1)[1]


def method_row(method: Method) -> str:
    """A row of a service's table."""
    response = (
        f"stream of {unqualified_name(method.response)}"
        if method.server_streaming
        else unqualified_name(method.response)
    )
    callers = ", ".join(method.callers) or "–"
    actor = "required" if method.actor_required else "none"
    bound = "–" if method.timeout_s is None else f"{method.timeout_s:g} s"
    tries = str(method.attempts)
    about = one_line(method.comment)
    return f"| `{method.name}` | {unqualified_name(method.request)} → {response} | {callers} | {actor} | {bound} | {tries} | {about} |"


def service_section(found: Service) -> Iterator[str]:
    """One service."""
    yield f"## {found.full_name}\n"
    yield f"{one_line(found.comment)}\n"
    yield "| method | messages | callers | actor | timeout | tries | what it does |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    yield from map(method_row, found.methods)
    yield ""


def event_row(event: Event) -> str:
    """A row of the events' table."""
    queues = ", ".join(f"`{queue}`" for queue in event.all_queues) or "–"
    return f"| `{event.type}` | {unqualified_name(event.message)} | {event.producer} | {queues} | {one_line(event.comment)} |"


def generate(contracts: Contracts) -> Files:
    """`generated/docs/reference.md`."""
    protos = contracts.protos
    lines = [
        "<!-- Written by `make generate` from api-specs/proto. Do not edit. -->",
        "# Reference: RPC and events\n",
        "The public API has its own pages: `/docs` on the edge. Policies stand in the proto files, as options.\n",
        *(text for found in protos.services for text in service_section(found)),
        "## Events\n",
        "Published to the topic exchange `delivery.events`; the routing key is the type.\n",
        "| type | message | producer | queues | when |",
        "| --- | --- | --- | --- | --- |",
        *map(event_row, protos.events),
    ]
    return {"docs/reference.md": "\n".join(lines) + "\n"}
