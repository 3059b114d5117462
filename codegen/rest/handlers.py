"""The gateway's side of the public API: an abstract class per tag, and the table that binds operations to it."""

import re
from collections import defaultdict
from typing import Any

from jsonschema_rs import Draft202012Validator

from codegen import naming
from codegen.contracts import ContractError, Contracts, Files
from codegen.events import event_types
from codegen.naming import snake
from codegen.rest.operations import Operation, operations

API = "delivery"
OUTPUT_PATH = "rest/delivery/handlers.py"
SCALAR_TYPES = {"integer": "int", "number": "float", "boolean": "bool", "string": "str"}
FORMAT_TYPES = {"date": "date", "date-time": "datetime"}
SECURITY_ARGUMENTS = {"bearer": "principal: Principal", "webhook": "webhook: SignedRequest"}
"""What a handler is given for each security scheme."""

FORM_MEDIA_TYPE = "multipart/form-data"
EVENT_STREAM_MEDIA_TYPE = "text/event-stream"

IDEMPOTENCY_KEY_HEADER, IDEMPOTENCY_REPLAYED_HEADER = "idempotency-key", "idempotency-replayed"
VALID_KEYS = ("!", "~", "a" * 64, 'A,b;c="d"')
INVALID_KEYS = ("", "a" * 65, "a b", " ", "\t", "\x7f", "\x00", "é", 1, None)
"""Samples of the contract's rule: 1 to 64 visible ASCII characters, taken literally."""

CACHE_UNTIL_EVENT_EXTENSION = "x-cache-until-event"
RUNTIME_PARAMETERS = frozenset({"If-None-Match"})
"""Parameters that the runtime answers by itself, for every operation alike."""


def referenced_schema_name(schema: dict[str, Any]) -> str | None:
    """The name of a schema that is one."""
    return schema["$ref"].rsplit("/", 1)[1] if "$ref" in schema else None


def python_type(contracts: Contracts, schema: dict[str, Any]) -> str:
    """A schema as a handler's signature says it: models by name, plain types as Python's."""
    plain = contracts.resolve_reference(API, schema)
    name = referenced_schema_name(schema)
    if name and (plain.get("type") == "object" or "enum" in plain):
        return name
    if plain.get("type") == "array":
        return f"list[{python_type(contracts, plain['items'])}]"
    kind = plain.get("type")
    if not isinstance(kind, str) or kind not in SCALAR_TYPES:
        raise ContractError(f"{API}.yaml: give this schema a name under components/schemas: {schema}")
    return FORMAT_TYPES.get(plain.get("format", ""), SCALAR_TYPES[kind])


def body_type(contracts: Contracts, operation: Operation) -> str:
    """The type of the argument `body`."""
    if operation.body is None:
        return "None"
    if len(operation.body) != 1:
        raise ContractError(f"{API}.yaml: {operation.id} takes several media types; it takes one")
    media, content = next(iter(operation.body.items()))
    if media != FORM_MEDIA_TYPE:
        return python_type(contracts, content["schema"])
    fields = list(contracts.resolve_reference(API, content["schema"]).get("properties", {}).items())
    if len(fields) != 1 or contracts.resolve_reference(API, fields[0][1]).get("format") != "binary":
        raise ContractError(f"{API}.yaml: the form of {operation.id} has one field, a binary one")
    if "x-max-bytes" not in operation.raw or "contentType" not in content.get("encoding", {}).get(fields[0][0], {}):
        raise ContractError(f"{API}.yaml: {operation.id} says by x-max-bytes and contentType which files it takes")
    return "Upload"


def is_streaming(operation: Operation) -> bool:
    """Whether it answers by server-sent events."""
    if EVENT_STREAM_MEDIA_TYPE not in operation.content:
        return False
    if operation.status != 200 or operation.headers - {"Cache-Control"}:
        raise ContractError(f"{API}.yaml: {operation.id} streams, so it answers 200, without headers of its own")
    return True


def event_data_schema(contracts: Contracts, schema: dict[str, Any]) -> dict[str, Any]:
    """What one event's `data` holds: `contentSchema` where the schema is of events with their fields, else its items."""
    plain = contracts.resolve_reference(API, schema)
    data = contracts.resolve_reference(API, plain.get("properties", {}).get("data", {}))
    found: dict[str, Any] = data.get("contentSchema") or plain.get("items") or schema
    return found


def result_type(contracts: Contracts, operation: Operation) -> str:
    """What the handler returns."""
    if is_streaming(operation):
        schema = operation.content[EVENT_STREAM_MEDIA_TYPE]["schema"]
        return f"AsyncIterator[Event[{python_type(contracts, event_data_schema(contracts, schema))}]]"
    if not operation.content:
        result = "None"
    else:
        media, content = next(iter(operation.content.items()))
        result = python_type(contracts, content["schema"]) if media == "application/json" else "BinaryResponse"
    return f"Response[{result}]" if operation.headers else result


def render_default(type_name: str, default: Any) -> str:
    """A default as Python of its type: YAML knows neither our enums nor, for sure, times."""
    if type_name in FORMAT_TYPES.values():
        text = default if isinstance(default, str) else default.isoformat()
        return f"{type_name}.fromisoformat({text!r})"
    return repr(default) if type_name in SCALAR_TYPES.values() else f"{type_name}({default!r})"


def render_arguments(contracts: Contracts, operation: Operation) -> list[str]:
    """The keyword arguments, those that may be left out last. What is kept is the same for everybody who asks."""
    required = (
        [SECURITY_ARGUMENTS[operation.scheme]]
        if operation.scheme and CACHE_UNTIL_EVENT_EXTENSION not in operation.raw
        else []
    )
    if operation.raw.get("x-client-address"):
        required.append("forwarded_for: str")
    optional = []
    for parameter in operation.parameters:
        if parameter["name"] in RUNTIME_PARAMETERS:
            continue
        kind = python_type(contracts, parameter["schema"])
        default = contracts.resolve_reference(API, parameter["schema"]).get("default")
        name = snake(parameter["name"])
        if parameter.get("required"):
            required.append(f"{name}: {kind}")
        elif default is not None:
            optional.append(f"{name}: {kind} = {render_default(kind, default)}")
        else:
            optional.append(f"{name}: {kind} | None = None")
    if operation.body is not None:
        required.append(f"body: {body_type(contracts, operation)}")
    return required + optional


def check_idempotency(contracts: Contracts, operation: Operation) -> None:
    """Who takes a key says so when an answer is a repeated one; the contract's bounds of a key hold everywhere."""
    keys = [parameter for parameter in operation.parameters if parameter["name"].lower() == IDEMPOTENCY_KEY_HEADER]
    if bool(keys) != (IDEMPOTENCY_REPLAYED_HEADER in {name.lower() for name in operation.headers}):
        raise ContractError(f"{API}.yaml: {operation.id} has Idempotency-Key and Idempotency-Replayed, or neither")
    for key in keys:
        taken = Draft202012Validator(contracts.resolve_reference(API, key["schema"])).is_valid
        if key.get("required") or not all(map(taken, VALID_KEYS)) or any(map(taken, INVALID_KEYS)):
            why = "is optional, a string of 1 to 64 visible ASCII characters: pattern ^[\\x21-\\x7e]{1,64}$"
            raise ContractError(f"{API}.yaml: Idempotency-Key of {operation.id} {why}")


def cache_until_event(contracts: Contracts, operation: Operation) -> str:
    """The name of the event that ends a kept answer; empty for an operation that keeps none."""
    if CACHE_UNTIL_EVENT_EXTENSION not in operation.raw:
        return ""
    found = [event for event in contracts.protos.events if event.type == operation.raw[CACHE_UNTIL_EVENT_EXTENSION]]
    if not found:
        raise ContractError(
            f"{API}.yaml: {operation.id} is kept until {operation.raw[CACHE_UNTIL_EVENT_EXTENSION]}, which is no event"
        )
    if operation.method != "GET" or set(operation.content) != {"application/json"} or operation.headers:
        raise ContractError(f"{API}.yaml: {operation.id} is kept, so it is a GET for JSON, without headers of its own")
    return event_types.snake(event_types.unqualified_name(found[0])).upper()


def render_method(contracts: Contracts, operation: Operation) -> str:
    """One abstract method."""
    check_idempotency(contracts, operation)
    given = ", ".join(["self", *(["*"] if (taken := render_arguments(contracts, operation)) else []), *taken])
    text = f"{operation.summary or operation.id}: {operation.method} {operation.path}."
    if operation.description:
        text += f"\n\n{operation.description.strip()}\n"
    return (
        "    @abstractmethod\n"
        f"    {'def' if is_streaming(operation) else 'async def'} {snake(operation.id)}({given}) -> {result_type(contracts, operation)}:\n"
        f"{docstring(text, 8)}\n"
    )


def docstring(text: str, indent: int) -> str:
    """A docstring; one that ends with a quote would close too early."""
    made = naming.docstring(text, indent)
    ending = '""""\n'
    return made.removesuffix(ending) + "\\" + ending if made.endswith(ending) else made


def handler_class_name(tag: str) -> str:
    """users → UsersHandler, notification-agents → NotificationAgentsHandler."""
    return f"{re.sub(r'[\W_]', '', tag.title())}Handler"


def render_table_row(contracts: Contracts, operation: Operation) -> str:
    """One line of the table."""
    media = next(iter(operation.content), "")
    kind = body_type(contracts, operation)
    return (
        f"    {operation.id!r}: Operation({handler_class_name(operation.tag)}, {snake(operation.id)!r}, "
        f"{kind if operation.body else None}, {operation.status}, {media!r}"
        f"{f', cache_until_event={until}' if (until := cache_until_event(contracts, operation)) else ''}),\n"
    )


def generate(contracts: Contracts) -> Files:
    """`generated/rest/delivery/handlers.py`."""
    found = list(operations(contracts, API))
    tags: defaultdict[str, list[Operation]] = defaultdict(list)
    for operation in found:
        tags[operation.tag].append(operation)
    described = {tag["name"]: tag["description"] for tag in contracts.openapi[API]["tags"]}
    classes = "".join(
        f"class {handler_class_name(tag)}(ABC):\n{docstring(described[tag], 4)}\n"
        + "".join(render_method(contracts, operation) for operation in group)
        + "\n"
        for tag, group in tags.items()
    )
    table = "".join(render_table_row(contracts, operation) for operation in found)
    text = f"{classes}\nOPERATIONS: dict[str, Operation] = {{\n{table}}}\n"
    models = sorted(name for name in contracts.schemas(API) if re.search(rf"\b{name}\b", text))
    ends = {until for operation in found if (until := cache_until_event(contracts, operation))}
    glue = [
        name
        for name in ("BinaryResponse", "Event", "Operation", "Response", "Upload")
        if re.search(rf"\b{name}\b", text)
    ]
    imports = [
        "from abc import ABC, abstractmethod",
        "from collections.abc import AsyncIterator",
        "from datetime import date, datetime",
        *([f"from generated.events import {', '.join(sorted(ends))}"] if ends else []),
        f"from generated.rest.delivery.models import {', '.join(models)}",
        "from services.runtime.core.principal import Principal",
        f"from services.runtime.rest.types import {', '.join(glue)}",
        "from services.runtime.outbound.webhooks import SignedRequest",
    ]
    head = '"""Written by `make generate` from api-specs/openapi/delivery.yaml. Do not edit."""\n\n'
    return {OUTPUT_PATH: head + "\n".join(imports) + "\n\n\n" + text}
