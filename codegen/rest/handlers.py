"""Generator of the abstract handlers of the public API: one class per tag, and the table of operations."""

import re
from collections import defaultdict
from typing import Any

from codegen.contracts import ContractError, Contracts, Files
from codegen.errors import map_all
from codegen.naming import render_docstring
from codegen.openapi.media_types import is_json
from codegen.openapi.names import get_argument_name, get_class_name, get_handler_class_name
from codegen.openapi.schemas import is_scalar
from codegen.rest.operation_rules import (
    CACHE_UNTIL_EVENT_EXTENSION,
    cache_until_event,
    check_idempotency,
    check_merge_patch,
)
from codegen.rest.operations import END_OF_STREAM_STATUS, EVENT_STREAM_MEDIA_TYPE, Operation, iter_operations

MODULE = "handlers"
SCALAR_TYPES = {"integer": "int", "number": "float", "boolean": "bool", "string": "str"}
FORMAT_TYPES = {"date": "date", "date-time": "datetime"}
SECURITY_ARGUMENTS = {"bearer": ("principal", "Principal"), "webhook": ("webhook", "SignedRequest")}
"""Handler argument of each security scheme and its type."""

SIGNED_SCHEME = "webhook"
"""Security scheme whose argument contains the raw body, for the service that owns the secret to parse and verify."""

FORM_MEDIA_TYPE = "multipart/form-data"

RUNTIME_PARAMETERS = frozenset({"If-None-Match"})
"""Parameters that the runtime handles for all operations."""


def get_referenced_schema_name(schema: dict[str, Any]) -> str | None:
    """Return the name of a referenced schema."""
    return schema["$ref"].rsplit("/", 1)[1] if "$ref" in schema else None


def list_class_names(contracts: Contracts) -> list[str]:
    """Return the classes of all schemas."""
    return [get_class_name(name) for name in contracts.get_schemas(contracts.name)]


def get_runtime_name(contracts: Contracts, name: str) -> str:
    """Return the name of a type of the runtime in generated code; it is private if a model has the same name."""
    return f"_{name}" if name in list_class_names(contracts) else name


def render_import(contracts: Contracts, module: str, *names: str) -> str:
    """Render the import of types of the runtime."""
    imported = [name if (used := get_runtime_name(contracts, name)) == name else f"{name} as {used}" for name in names]
    return f"from {module} import {', '.join(imported)}"


def render_security_argument(contracts: Contracts, scheme: str, *, is_optional: bool = False) -> str:
    """Render the argument of a security scheme with its type; None stands for a request without a token."""
    name, kind = SECURITY_ARGUMENTS[scheme]
    return f"{name}: {get_runtime_name(contracts, kind)}{' | None' if is_optional else ''}"


def get_python_type(contracts: Contracts, schema: dict[str, Any]) -> str:
    """Return the Python type of a schema in a handler's signature."""
    resolved = contracts.resolve_reference(contracts.name, schema)
    name, kind = get_referenced_schema_name(schema), resolved.get("type")
    if kind == "array" and (not name or is_scalar(contracts.resolve_reference(contracts.name, resolved["items"]))):
        return f"list[{get_python_type(contracts, resolved['items'])}]"
    if name and (not is_scalar(resolved) or "enum" in resolved):
        return get_class_name(name)
    if not isinstance(kind, str) or kind not in SCALAR_TYPES:
        raise ContractError(
            f"{contracts.name}.yaml: the schema {schema} has no name; move this schema to components/schemas"
        )
    return FORMAT_TYPES.get(resolved.get("format", ""), SCALAR_TYPES[kind])


def get_body_type(contracts: Contracts, operation: Operation) -> str:
    """Return the type of the argument `body`; None without a body and for a signed one."""
    if operation.body is None or operation.scheme == SIGNED_SCHEME:
        return "None"
    if operation.method == "PATCH":
        check_merge_patch(contracts, operation)
    elif len(operation.body) != 1:
        raise operation.create_error("the request has several media types", "write one of them")
    media, content = next(iter(operation.body.items()))
    if media != FORM_MEDIA_TYPE:
        return get_python_type(contracts, content["schema"])
    properties = contracts.resolve_reference(contracts.name, content["schema"]).get("properties", {})
    fields = {each["name"] for each in list_form_fields(contracts, operation)}
    files = [name for name in properties if name not in fields]
    if len(files) != 1:
        raise operation.create_error("the form has not exactly one file", "write one field of the format binary")
    if "x-max-bytes" not in operation.raw or "contentType" not in content.get("encoding", {}).get(files[0], {}):
        raise operation.create_error("the file has no limits", "add x-max-bytes, and contentType of the encoding")
    return get_runtime_name(contracts, "Upload")


def list_form_fields(contracts: Contracts, operation: Operation) -> list[dict[str, Any]]:
    """Return the fields of a multipart form except its file, in the form of parameters."""
    content = (operation.body or {}).get(FORM_MEDIA_TYPE)
    schema = contracts.resolve_reference(contracts.name, content["schema"]) if content else {}
    return [
        {"name": name, "required": name in schema.get("required", ()), "schema": field}
        for name, field in schema.get("properties", {}).items()
        if contracts.resolve_reference(contracts.name, field).get("format") != "binary"
    ]


def is_file_optional(contracts: Contracts, operation: Operation) -> bool:
    """Return whether a multipart form may lack its file."""
    content = (operation.body or {}).get(FORM_MEDIA_TYPE)
    schema = contracts.resolve_reference(contracts.name, content["schema"]) if content else {}
    fields = {each["name"] for each in list_form_fields(contracts, operation)}
    return any(name not in schema.get("required", ()) for name in schema.get("properties", {}).keys() - fields)


def is_streaming(operation: Operation) -> bool:
    """Return whether the response is a stream of server-sent events."""
    if EVENT_STREAM_MEDIA_TYPE not in operation.content:
        return False
    if operation.method != "GET":
        raise operation.create_error(f"a stream has the method {operation.method}", "use GET, which clients can repeat")
    if operation.status != 200 or operation.headers - {"Cache-Control"}:
        raise operation.create_error("the stream has another status or headers", "use the status 200 without headers")
    if END_OF_STREAM_STATUS not in operation.raw["responses"]:
        raise operation.create_error("the stream lacks the response 204", "add it, it ends reconnecting")
    return True


def get_event_data_schema(contracts: Contracts, schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an event's `data`: `contentSchema` if present, else the schema of the items."""
    resolved = contracts.resolve_reference(contracts.name, schema)
    data = contracts.resolve_reference(contracts.name, resolved.get("properties", {}).get("data", {}))
    data_schema: dict[str, Any] = data.get("contentSchema") or resolved.get("items") or schema
    return data_schema


def get_result_type(contracts: Contracts, operation: Operation) -> str:
    """Return the return type of the handler."""
    if is_streaming(operation):
        schema = operation.content[EVENT_STREAM_MEDIA_TYPE]["schema"]
        iterator, event = (get_runtime_name(contracts, name) for name in ("AsyncIterator", "Event"))
        return f"{iterator}[{event}[{get_python_type(contracts, get_event_data_schema(contracts, schema))}]]"
    if not operation.content:
        result = "None"
    else:
        media, content = next(iter(operation.content.items()))
        binary = get_runtime_name(contracts, "BinaryResponse")
        result = get_python_type(contracts, content["schema"]) if is_json(media) else binary
    return f"{get_runtime_name(contracts, 'Response')}[{result}]" if operation.headers else result


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
        [render_security_argument(contracts, operation.scheme, is_optional=operation.is_token_optional)]
        if operation.scheme and CACHE_UNTIL_EVENT_EXTENSION not in operation.raw
        else []
    )
    if operation.raw.get("x-client-address"):
        context.append("forwarded_for: str")
    return context + render_request_arguments(contracts, operation)


def render_request_arguments(contracts: Contracts, operation: Operation) -> list[str]:
    """Render the keyword arguments for parameters, body and fields of a multipart form, optional ones last."""
    required, optional = [], []
    for parameter in [*operation.parameters, *list_form_fields(contracts, operation)]:
        if parameter["name"] in RUNTIME_PARAMETERS:
            continue
        kind = get_python_type(contracts, parameter["schema"])
        default = contracts.resolve_reference(contracts.name, parameter["schema"]).get("default")
        name = get_argument_name(parameter["name"])
        if parameter.get("required"):
            required.append(f"{name}: {kind}")
        elif default is not None:
            optional.append(f"{name}: {kind} = {render_default(kind, default)}")
        else:
            optional.append(f"{name}: {kind} | None = None")
    if (body := get_body_type(contracts, operation)) != "None":
        required.append(f"body: {body}{' | None' if is_file_optional(contracts, operation) else ''}")
    return required + optional


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
        f"    {prefix} {operation.method_name}({parameters}) -> {get_result_type(contracts, operation)}:\n"
        f"{render_docstring(text, 8)}\n"
    )


def render_table_row(contracts: Contracts, operation: Operation) -> str:
    """Render an entry of the table of operations."""
    media = next(iter(operation.content), "")
    return (
        f"    {operation.id!r}: {get_runtime_name(contracts, 'Operation')}("
        f"{get_handler_class_name(operation.tag)}, {operation.method_name!r}, "
        f"{get_body_type(contracts, operation)}, {operation.status}, {media!r}"
        f"{f', cache_until_event={until}' if (until := cache_until_event(contracts, operation)) else ''}),\n"
    )


def generate(contracts: Contracts) -> Files:
    """Generate `rest/<mesh>/handlers.py`."""
    all_operations = list(iter_operations(contracts, contracts.name))
    rendered = map_all(lambda each: (render_method(contracts, each), render_table_row(contracts, each)), all_operations)
    methods: defaultdict[str, list[str]] = defaultdict(list)
    for operation, (method, _) in zip(all_operations, rendered, strict=True):
        methods[operation.tag].append(method)
    descriptions = {
        tag["name"]: tag.get("description", tag["name"]) for tag in contracts.openapi[contracts.name]["tags"]
    }
    base_class, operation_type = (get_runtime_name(contracts, name) for name in ("ABC", "Operation"))
    classes = "".join(
        f"class {get_handler_class_name(tag)}({base_class}):\n{render_docstring(descriptions[tag], 4)}\n"
        + "".join(group)
        + "\n"
        for tag, group in methods.items()
    )
    table = "".join(row for _, row in rendered)
    text = f"{classes}\nOPERATIONS: dict[str, {operation_type}] = {{\n{table}}}\n"
    models = sorted(name for name in list_class_names(contracts) if re.search(rf"\b{name}\b", text))
    cache_events = {until for operation in all_operations if (until := cache_until_event(contracts, operation))}
    runtime_types = [
        name
        for name in ("BinaryResponse", "Event", "Operation", "Response", "Upload")
        if re.search(rf"\b{get_runtime_name(contracts, name)}\b", text)
    ]
    imports = [
        render_import(contracts, "abc", "ABC", "abstractmethod"),
        render_import(contracts, "collections.abc", "AsyncIterator"),
        "from datetime import date, datetime",
        *([f"from generated.events import {', '.join(sorted(cache_events))}"] if cache_events else []),
        *([f"from generated.rest.{contracts.name}.models import {', '.join(models)}"] if models else []),
        render_import(contracts, "services.runtime.core.principal", "Principal"),
        render_import(contracts, "services.runtime.rest.types", *runtime_types),
        render_import(contracts, "services.runtime.outbound.webhooks", "SignedRequest"),
    ]
    header = f'"""Written by `make generate` from api-specs/openapi/{contracts.name}.yaml. Do not edit."""\n\n'
    return {contracts.get_rest_path(MODULE): header + "\n".join(imports) + "\n\n\n" + text}
