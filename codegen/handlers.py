"""The gateway's side of the public API: an abstract class per tag, and the table that binds operations to it."""

import re
from collections import defaultdict
from typing import Any

from jsonschema_rs import Draft202012Validator

from codegen import events, naming
from codegen.contracts import ContractError, Contracts, Files
from codegen.naming import snake
from codegen.operations import Operation, operations

API = "delivery"
PATH = "rest/delivery/handlers.py"
SCALARS = {"integer": "int", "number": "float", "boolean": "bool", "string": "str"}
FORMATS = {"date": "date", "date-time": "datetime"}
ARGUMENTS = {"bearer": "principal: Principal", "webhook": "webhook: SignedRequest"}
"""What a handler is given for each security scheme."""

FORM = "multipart/form-data"
STREAM = "text/event-stream"

KEY, REPLAYED = "idempotency-key", "idempotency-replayed"
KEYS = ("!", "~", "a" * 64, 'A,b;c="d"')
NO_KEYS = ("", "a" * 65, "a b", " ", "\t", "\x7f", "\x00", "é", 1, None)
"""Samples of the contract's rule: 1 to 64 visible ASCII characters, taken literally."""

KEPT = "x-kept-until"
BY_RUNTIME = frozenset({"If-None-Match"})
"""Parameters that the runtime answers by itself, for every operation alike."""


def reference(schema: dict[str, Any]) -> str | None:
    """The name of a schema that is one."""
    return schema["$ref"].rsplit("/", 1)[1] if "$ref" in schema else None


def python_type(contracts: Contracts, schema: dict[str, Any]) -> str:
    """A schema as a handler's signature says it: models by name, plain types as Python's."""
    plain = contracts.deref(API, schema)
    name = reference(schema)
    if name and (plain.get("type") == "object" or "enum" in plain):
        return name
    if plain.get("type") == "array":
        return f"list[{python_type(contracts, plain['items'])}]"
    kind = plain.get("type")
    if not isinstance(kind, str) or kind not in SCALARS:
        raise ContractError(f"{API}.yaml: give this schema a name under components/schemas: {schema}")
    return FORMATS.get(plain.get("format", ""), SCALARS[kind])


def body_type(contracts: Contracts, operation: Operation) -> str:
    """The type of the argument `body`."""
    if operation.body is None:
        return "None"
    if len(operation.body) != 1:
        raise ContractError(f"{API}.yaml: {operation.id} takes several media types; it takes one")
    media, content = next(iter(operation.body.items()))
    if media != FORM:
        return python_type(contracts, content["schema"])
    fields = list(contracts.deref(API, content["schema"]).get("properties", {}).items())
    if len(fields) != 1 or contracts.deref(API, fields[0][1]).get("format") != "binary":
        raise ContractError(f"{API}.yaml: the form of {operation.id} has one field, a binary one")
    if "x-max-bytes" not in operation.raw or "contentType" not in content.get("encoding", {}).get(fields[0][0], {}):
        raise ContractError(f"{API}.yaml: {operation.id} says by x-max-bytes and contentType which files it takes")
    return "Upload"


def streams(operation: Operation) -> bool:
    """Whether it answers by server-sent events."""
    if STREAM not in operation.content:
        return False
    if operation.status != 200 or operation.headers - {"Cache-Control"}:
        raise ContractError(f"{API}.yaml: {operation.id} streams, so it answers 200, without headers of its own")
    return True


def event_data(contracts: Contracts, schema: dict[str, Any]) -> dict[str, Any]:
    """What one event's `data` holds: `contentSchema` where the schema is of events with their fields, else its items."""
    plain = contracts.deref(API, schema)
    data = contracts.deref(API, plain.get("properties", {}).get("data", {}))
    found: dict[str, Any] = data.get("contentSchema") or plain.get("items") or schema
    return found


def result_type(contracts: Contracts, operation: Operation) -> str:
    """What the handler returns."""
    if streams(operation):
        schema = operation.content[STREAM]["schema"]
        return f"AsyncIterator[Event[{python_type(contracts, event_data(contracts, schema))}]]"
    if not operation.content:
        result = "None"
    else:
        media, content = next(iter(operation.content.items()))
        result = python_type(contracts, content["schema"]) if media == "application/json" else "Blob"
    return f"Reply[{result}]" if operation.headers else result


def written(kind: str, default: Any) -> str:
    """A default as Python of its type: YAML knows neither our enums nor, for sure, times."""
    if kind in FORMATS.values():
        text = default if isinstance(default, str) else default.isoformat()
        return f"{kind}.fromisoformat({text!r})"
    return repr(default) if kind in SCALARS.values() else f"{kind}({default!r})"


def arguments(contracts: Contracts, operation: Operation) -> list[str]:
    """The keyword arguments, those that may be left out last. What is kept is the same for everybody who asks."""
    required = [ARGUMENTS[operation.scheme]] if operation.scheme and KEPT not in operation.raw else []
    if operation.raw.get("x-client-address"):
        required.append("forwarded_for: str")
    optional = []
    for parameter in operation.parameters:
        if parameter["name"] in BY_RUNTIME:
            continue
        kind = python_type(contracts, parameter["schema"])
        default = contracts.deref(API, parameter["schema"]).get("default")
        name = snake(parameter["name"])
        if parameter.get("required"):
            required.append(f"{name}: {kind}")
        elif default is not None:
            optional.append(f"{name}: {kind} = {written(kind, default)}")
        else:
            optional.append(f"{name}: {kind} | None = None")
    if operation.body is not None:
        required.append(f"body: {body_type(contracts, operation)}")
    return required + optional


def check_idempotency(contracts: Contracts, operation: Operation) -> None:
    """Who takes a key says so when an answer is a repeated one; the contract's bounds of a key hold everywhere."""
    keys = [parameter for parameter in operation.parameters if parameter["name"].lower() == KEY]
    if bool(keys) != (REPLAYED in {name.lower() for name in operation.headers}):
        raise ContractError(f"{API}.yaml: {operation.id} has Idempotency-Key and Idempotency-Replayed, or neither")
    for key in keys:
        taken = Draft202012Validator(contracts.deref(API, key["schema"])).is_valid
        if key.get("required") or not all(map(taken, KEYS)) or any(map(taken, NO_KEYS)):
            why = "is optional, a string of 1 to 64 visible ASCII characters: pattern ^[\\x21-\\x7e]{1,64}$"
            raise ContractError(f"{API}.yaml: Idempotency-Key of {operation.id} {why}")


def kept_until(contracts: Contracts, operation: Operation) -> str:
    """The name of the event that ends a kept answer; empty for an operation that keeps none."""
    if KEPT not in operation.raw:
        return ""
    found = [event for event in contracts.protos.events if event.type == operation.raw[KEPT]]
    if not found:
        raise ContractError(f"{API}.yaml: {operation.id} is kept until {operation.raw[KEPT]}, which is no event")
    if operation.method != "GET" or set(operation.content) != {"application/json"} or operation.headers:
        raise ContractError(f"{API}.yaml: {operation.id} is kept, so it is a GET for JSON, without headers of its own")
    return events.snake(events.short(found[0])).upper()


def method(contracts: Contracts, operation: Operation) -> str:
    """One abstract method."""
    check_idempotency(contracts, operation)
    given = ", ".join(["self", *(["*"] if (taken := arguments(contracts, operation)) else []), *taken])
    text = f"{operation.summary or operation.id}: {operation.method} {operation.path}."
    if operation.description:
        text += f"\n\n{operation.description.strip()}\n"
    return (
        "    @abstractmethod\n"
        f"    {'def' if streams(operation) else 'async def'} {snake(operation.id)}({given}) -> {result_type(contracts, operation)}:\n"
        f"{docstring(text, 8)}\n"
    )


def docstring(text: str, indent: int) -> str:
    """A docstring; one that ends with a quote would close too early."""
    made = naming.docstring(text, indent)
    ending = '""""\n'
    return made.removesuffix(ending) + "\\" + ending if made.endswith(ending) else made


def handler(tag: str) -> str:
    """users → UsersHandler, notification-agents → NotificationAgentsHandler."""
    return f"{re.sub(r'[\W_]', '', tag.title())}Handler"


def row(contracts: Contracts, operation: Operation) -> str:
    """One line of the table."""
    media = next(iter(operation.content), "")
    kind = body_type(contracts, operation)
    return (
        f"    {operation.id!r}: Operation({handler(operation.tag)}, {snake(operation.id)!r}, "
        f"{kind if operation.body else None}, {operation.status}, {media!r}"
        f"{f', kept_until={until}' if (until := kept_until(contracts, operation)) else ''}),\n"
    )


def generate(contracts: Contracts) -> Files:
    """`generated/rest/delivery/handlers.py`."""
    found = list(operations(contracts, API))
    tags: defaultdict[str, list[Operation]] = defaultdict(list)
    for operation in found:
        tags[operation.tag].append(operation)
    described = {tag["name"]: tag["description"] for tag in contracts.openapi[API]["tags"]}
    classes = "".join(
        f"class {handler(tag)}(ABC):\n{docstring(described[tag], 4)}\n"
        + "".join(method(contracts, operation) for operation in group)
        + "\n"
        for tag, group in tags.items()
    )
    table = "".join(row(contracts, operation) for operation in found)
    text = f"{classes}\nOPERATIONS: dict[str, Operation] = {{\n{table}}}\n"
    models = sorted(name for name in contracts.schemas(API) if re.search(rf"\b{name}\b", text))
    ends = {until for operation in found if (until := kept_until(contracts, operation))}
    glue = [name for name in ("Blob", "Event", "Operation", "Reply", "Upload") if re.search(rf"\b{name}\b", text)]
    imports = [
        "from abc import ABC, abstractmethod",
        "from collections.abc import AsyncIterator",
        "from datetime import date, datetime",
        *([f"from generated.events import {', '.join(sorted(ends))}"] if ends else []),
        f"from generated.rest.delivery.models import {', '.join(models)}",
        "from services.runtime.principal import Principal",
        f"from services.runtime.rest.types import {', '.join(glue)}",
        "from services.runtime.webhooks import SignedRequest",
    ]
    head = '"""Written by `make generate` from api-specs/openapi/delivery.yaml. Do not edit."""\n\n'
    return {PATH: head + "\n".join(imports) + "\n\n\n" + text}
