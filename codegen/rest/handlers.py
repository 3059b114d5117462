"""Generator of the abstract handlers of the public API: one class per tag, and the table of operations."""

import re
from collections import defaultdict
from typing import Any

from jsonschema_rs import Draft202012Validator

from codegen.contracts import ContractError, Contracts, Files
from codegen.events import event_types
from codegen.naming import render_docstring, to_pascal_case, to_snake_case
from codegen.rest.operations import END_OF_STREAM_STATUS, EVENT_STREAM_MEDIA_TYPE, Operation, iter_operations

API = "delivery"
OUTPUT_PATH = "rest/delivery/handlers.py"
SCALAR_TYPES = {"integer": "int", "number": "float", "boolean": "bool", "string": "str"}
FORMAT_TYPES = {"date": "date", "date-time": "datetime"}
SECURITY_ARGUMENTS = {"bearer": "principal: Principal", "webhook": "webhook: SignedRequest"}
"""Handler argument of each security scheme."""

SIGNED_SCHEME = "webhook"
"""Security scheme whose argument contains the raw body, for the service that owns the secret to parse and verify."""

FORM_MEDIA_TYPE = "multipart/form-data"
PATCH_MEDIA_TYPES = ("application/json", "application/merge-patch+json")

IDEMPOTENCY_KEY_HEADER, IDEMPOTENCY_REPLAYED_HEADER = "idempotency-key", "idempotency-replayed"
VALID_KEYS = ("!", "~", "a" * 64, 'A,b;c="d"')
INVALID_KEYS = ("", "a" * 65, "a b", " ", "\t", "\x7f", "\x00", "é", 1, None)
"""Samples for the rule of idempotency keys: 1 to 64 visible ASCII characters."""

CACHE_UNTIL_EVENT_EXTENSION = "x-cache-until-event"
GATEWAY = "gateway"
"""The service that implements the API."""

RUNTIME_PARAMETERS = frozenset({"If-None-Match"})
"""Parameters that the runtime handles for all operations."""


def get_referenced_schema_name(schema: dict[str, Any]) -> str | None:
    """Return the name of a referenced schema."""
    return schema["$ref"].rsplit("/", 1)[1] if "$ref" in schema else None


def get_python_type(contracts: Contracts, schema: dict[str, Any]) -> str:
    """Return the Python type of a schema in a handler's signature."""
    resolved = contracts.resolve_reference(API, schema)
    name = get_referenced_schema_name(schema)
    if name and (resolved.get("type") == "object" or "enum" in resolved):
        return name
    if resolved.get("type") == "array":
        return f"list[{get_python_type(contracts, resolved['items'])}]"
    kind = resolved.get("type")
    if not isinstance(kind, str) or kind not in SCALAR_TYPES:
        raise ContractError(f"{API}.yaml: move this schema to components/schemas: {schema}")
    return FORMAT_TYPES.get(resolved.get("format", ""), SCALAR_TYPES[kind])


def get_body_type(contracts: Contracts, operation: Operation) -> str:
    """Return the type of the argument `body`; None without a body and for a signed one."""
    if operation.body is None or operation.scheme == SIGNED_SCHEME:
        return "None"
    if operation.method == "PATCH":
        check_merge_patch(contracts, operation)
    elif len(operation.body) != 1:
        raise ContractError(f"{API}.yaml: {operation.id} has several media types; only one is supported")
    media, content = next(iter(operation.body.items()))
    if media != FORM_MEDIA_TYPE:
        return get_python_type(contracts, content["schema"])
    fields = list(contracts.resolve_reference(API, content["schema"]).get("properties", {}).items())
    if len(fields) != 1 or contracts.resolve_reference(API, fields[0][1]).get("format") != "binary":
        raise ContractError(f"{API}.yaml: the form of {operation.id} must have exactly one field, of format binary")
    if "x-max-bytes" not in operation.raw or "contentType" not in content.get("encoding", {}).get(fields[0][0], {}):
        raise ContractError(f"{API}.yaml: {operation.id} must define x-max-bytes and contentType of its file")
    return "Upload"


def check_merge_patch(contracts: Contracts, operation: Operation) -> None:
    """Raise ContractError if a merge patch or the resource that it changes lacks a media type or Accept-Patch."""
    schemas = [content["schema"] for content in (operation.body or {}).values()]
    if tuple(operation.body or ()) != PATCH_MEDIA_TYPES or any(schema != schemas[0] for schema in schemas):
        raise ContractError(f"{API}.yaml: {operation.id} must accept one schema as {' and '.join(PATCH_MEDIA_TYPES)}")
    read = contracts.openapi[API]["paths"][operation.path].get("get", {})
    if read and "Accept-Patch" not in read["responses"]["200"].get("headers", {}):
        raise ContractError(f"{API}.yaml: {read['operationId']} lacks the header Accept-Patch")


def is_streaming(operation: Operation) -> bool:
    """Return whether the response is a stream of server-sent events."""
    if EVENT_STREAM_MEDIA_TYPE not in operation.content:
        return False
    if operation.status != 200 or operation.headers - {"Cache-Control"}:
        raise ContractError(f"{API}.yaml: the stream {operation.id} must have the status 200 and no additional headers")
    if END_OF_STREAM_STATUS not in operation.raw["responses"]:
        raise ContractError(f"{API}.yaml: the stream {operation.id} lacks the response 204, which ends reconnecting")
    return True


def get_event_data_schema(contracts: Contracts, schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an event's `data`: `contentSchema` if present, else the schema of the items."""
    resolved = contracts.resolve_reference(API, schema)
    data = contracts.resolve_reference(API, resolved.get("properties", {}).get("data", {}))
    data_schema: dict[str, Any] = data.get("contentSchema") or resolved.get("items") or schema
    return data_schema


def get_result_type(contracts: Contracts, operation: Operation) -> str:
    """Return the return type of the handler."""
    if is_streaming(operation):
        schema = operation.content[EVENT_STREAM_MEDIA_TYPE]["schema"]
        return f"AsyncIterator[Event[{get_python_type(contracts, get_event_data_schema(contracts, schema))}]]"
    if not operation.content:
        result = "None"
    else:
        media, content = next(iter(operation.content.items()))
        result = get_python_type(contracts, content["schema"]) if media == "application/json" else "BinaryResponse"
    return f"Response[{result}]" if operation.headers else result


def render_default(type_name: str, default: Any) -> str:
    """Render a default value as an expression of its type."""
    if type_name in FORMAT_TYPES.values():
        text = default if isinstance(default, str) else default.isoformat()
        return f"{type_name}.fromisoformat({text!r})"
    return repr(default) if type_name in SCALAR_TYPES.values() else f"{type_name}({default!r})"


def render_arguments(contracts: Contracts, operation: Operation) -> list[str]:
    """Render the keyword arguments, optional ones last.

    A cached operation has no principal, because its response is the same for all callers.
    """
    context = (
        [SECURITY_ARGUMENTS[operation.scheme]]
        if operation.scheme and CACHE_UNTIL_EVENT_EXTENSION not in operation.raw
        else []
    )
    if operation.raw.get("x-client-address"):
        context.append("forwarded_for: str")
    return context + render_request_arguments(contracts, operation)


def render_request_arguments(contracts: Contracts, operation: Operation) -> list[str]:
    """Render the keyword arguments for parameters and body, optional ones last."""
    required, optional = [], []
    for parameter in operation.parameters:
        if parameter["name"] in RUNTIME_PARAMETERS:
            continue
        kind = get_python_type(contracts, parameter["schema"])
        default = contracts.resolve_reference(API, parameter["schema"]).get("default")
        name = to_snake_case(parameter["name"])
        if parameter.get("required"):
            required.append(f"{name}: {kind}")
        elif default is not None:
            optional.append(f"{name}: {kind} = {render_default(kind, default)}")
        else:
            optional.append(f"{name}: {kind} | None = None")
    if (body := get_body_type(contracts, operation)) != "None":
        required.append(f"body: {body}")
    return required + optional


def check_idempotency(contracts: Contracts, operation: Operation) -> None:
    """Raise ContractError if the key, its format or the header Idempotency-Replayed violates the rule."""
    keys = [parameter for parameter in operation.parameters if parameter["name"].lower() == IDEMPOTENCY_KEY_HEADER]
    if bool(keys) != (IDEMPOTENCY_REPLAYED_HEADER in {name.lower() for name in operation.headers}):
        raise ContractError(
            f"{API}.yaml: {operation.id} must have both Idempotency-Key and Idempotency-Replayed, or neither"
        )
    for key in keys:
        is_valid = Draft202012Validator(contracts.resolve_reference(API, key["schema"])).is_valid
        if key.get("required") or not all(map(is_valid, VALID_KEYS)) or any(map(is_valid, INVALID_KEYS)):
            rule = "must be optional, with 1 to 64 visible ASCII characters: pattern ^[\\x21-\\x7e]{1,64}$"
            raise ContractError(f"{API}.yaml: Idempotency-Key of {operation.id} {rule}")


def cache_until_event(contracts: Contracts, operation: Operation) -> str:
    """Return the constant of the event that invalidates the cached response; empty for an uncached operation."""
    if CACHE_UNTIL_EVENT_EXTENSION not in operation.raw:
        return ""
    event_type = operation.raw[CACHE_UNTIL_EVENT_EXTENSION]
    event = next((each for each in contracts.protos.events if each.type == event_type), None)
    if event is None:
        raise ContractError(f"{API}.yaml: {operation.id} is cached until {event_type}, which is not an event")
    if GATEWAY not in event.subscribers:
        raise ContractError(f"{API}.yaml: {operation.id} is cached until {event_type}, to which gateway must subscribe")
    if operation.method != "GET" or set(operation.content) != {"application/json"} or operation.headers:
        raise ContractError(
            f"{API}.yaml: the cached operation {operation.id} must be a GET for JSON without additional headers"
        )
    return event_types.get_constant_name(event)


def render_method(contracts: Contracts, operation: Operation) -> str:
    """Render an abstract method."""
    check_idempotency(contracts, operation)
    arguments = render_arguments(contracts, operation)
    parameters = ", ".join(["self", *(["*"] if arguments else []), *arguments])
    prefix = "def" if is_streaming(operation) else "async def"
    text = f"{operation.summary or operation.id}: {operation.method} {operation.path}."
    if operation.description:
        text += f"\n\n{operation.description.strip()}\n"
    return (
        "    @abstractmethod\n"
        f"    {prefix} {to_snake_case(operation.id)}({parameters}) -> {get_result_type(contracts, operation)}:\n"
        f"{render_docstring(text, 8)}\n"
    )


def get_handler_class_name(tag: str) -> str:
    """Return the class name of a tag: notification-agents gives NotificationAgentsHandler."""
    return f"{to_pascal_case(tag)}Handler"


def render_table_row(contracts: Contracts, operation: Operation) -> str:
    """Render an entry of the table of operations."""
    media = next(iter(operation.content), "")
    return (
        f"    {operation.id!r}: Operation({get_handler_class_name(operation.tag)}, {to_snake_case(operation.id)!r}, "
        f"{get_body_type(contracts, operation)}, {operation.status}, {media!r}"
        f"{f', cache_until_event={until}' if (until := cache_until_event(contracts, operation)) else ''}),\n"
    )


def generate(contracts: Contracts) -> Files:
    """Generate `rest/delivery/handlers.py`."""
    all_operations = list(iter_operations(contracts, API))
    tags: defaultdict[str, list[Operation]] = defaultdict(list)
    for operation in all_operations:
        tags[operation.tag].append(operation)
    descriptions = {tag["name"]: tag["description"] for tag in contracts.openapi[API]["tags"]}
    classes = "".join(
        f"class {get_handler_class_name(tag)}(ABC):\n{render_docstring(descriptions[tag], 4)}\n"
        + "".join(render_method(contracts, operation) for operation in group)
        + "\n"
        for tag, group in tags.items()
    )
    table = "".join(render_table_row(contracts, operation) for operation in all_operations)
    text = f"{classes}\nOPERATIONS: dict[str, Operation] = {{\n{table}}}\n"
    models = sorted(name for name in contracts.get_schemas(API) if re.search(rf"\b{name}\b", text))
    cache_events = {until for operation in all_operations if (until := cache_until_event(contracts, operation))}
    runtime_types = [
        name
        for name in ("BinaryResponse", "Event", "Operation", "Response", "Upload")
        if re.search(rf"\b{name}\b", text)
    ]
    imports = [
        "from abc import ABC, abstractmethod",
        "from collections.abc import AsyncIterator",
        "from datetime import date, datetime",
        *([f"from generated.events import {', '.join(sorted(cache_events))}"] if cache_events else []),
        f"from generated.rest.delivery.models import {', '.join(models)}",
        "from services.runtime.core.principal import Principal",
        f"from services.runtime.rest.types import {', '.join(runtime_types)}",
        "from services.runtime.outbound.webhooks import SignedRequest",
    ]
    header = '"""Written by `make generate` from api-specs/openapi/delivery.yaml. Do not edit."""\n\n'
    return {OUTPUT_PATH: header + "\n".join(imports) + "\n\n\n" + text}
