"""Generator of the RPC and event reference: every method with its policy, every event with its queues."""

from collections.abc import Iterator

from codegen.contracts import Contracts, Files
from codegen.naming import format_seconds, get_unqualified_name
from codegen.protobuf import Event, Method, Service


def render_table_cell(text: str) -> str:
    """Return a comment as the content of a table cell."""
    return " ".join(text.split()).replace("|", "\\|")


def render_method_row(method: Method) -> str:
    """Return the row of a method."""
    request, response = get_unqualified_name(method.request), get_unqualified_name(method.response)
    if method.client_streaming:
        request = f"stream of {request}"
    if method.server_streaming:
        response = f"stream of {response}"
    callers = ", ".join(method.callers) or "–"
    actor = "required" if method.actor_required else "none"
    timeout = "–" if method.timeout_s is None else f"{format_seconds(method.timeout_s)} s"
    description = render_table_cell(method.comment)
    return (
        f"| `{method.name}` | {request} → {response} | {callers} | {actor} | {timeout} | {method.attempts} "
        f"| {description} |"
    )


def render_service_section(service: Service) -> Iterator[str]:
    """Return the lines of a service's section."""
    yield f"## {service.full_name}\n"
    yield f"{render_table_cell(service.comment)}\n"
    yield "| method | messages | callers | actor | timeout | attempts | description |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    yield from map(render_method_row, service.methods)
    yield ""


def render_event_row(event: Event) -> str:
    """Return the row of an event."""
    message, description = get_unqualified_name(event.message), render_table_cell(event.comment)
    queues = ", ".join(f"`{queue}`" for queue in event.all_queues) or "–"
    return f"| `{event.type}` | {message} | {event.producer} | {queues} | {description} |"


def generate(contracts: Contracts) -> Files:
    """Generate `docs/reference.md`."""
    protos = contracts.protos
    lines = [
        "<!-- Written by `make generate` from api-specs/proto. Do not edit. -->",
        "# RPC and event reference\n",
        "The edge serves the documentation of the public API at `/docs`.",
        "The proto files define the policies as options.\n",
        *(line for service in protos.services for line in render_service_section(service)),
        "## Events\n",
        "A service publishes to the topic exchange `<service>.events`; the routing key is the type.\n",
        "| type | message | producer | queues | description |",
        "| --- | --- | --- | --- | --- |",
        *map(render_event_row, protos.events),
    ]
    return {"docs/reference.md": "\n".join(lines) + "\n"}
