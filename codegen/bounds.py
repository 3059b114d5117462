"""What an RPC's request is held to: the bounds that the REST operation of the same name, and mirrored schemas, state.

Fields pair up with parameters and properties by name, messages with schemas by `x-message`. So what is refused at the
public door is refused at every inner one, and no bound is written twice.
"""

from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from codegen.contracts import Contracts
from codegen.naming import snake
from codegen.operations import Operation, operations
from codegen.protobuf import Method

API = "delivery"
TOLD = frozenset({"type", "format", "pattern", "minLength", "maxLength", "minimum", "maximum", "multipleOf"})
COUNTED = frozenset({"minItems", "maxItems", "uniqueItems"})
ABSENT = "x-absent"
"""Those properties whose field cannot be absent, and has its zero value instead."""

type Schema = dict[str, Any]
type Bounds = Callable[[Method], Schema]


def of(contracts: Contracts) -> Bounds:
    """Finds the bounds of a method's request, as the JSON Schema of an object; empty when there are none."""
    if API not in contracts.openapi:
        return lambda method: {}
    named = {operation.id: operation for operation in operations(contracts, API)}
    rules = _Rules(contracts)

    def bounds(method: Method) -> Schema:
        operation = named.get(method.name[0].lower() + method.name[1:])
        message = contracts.protos.pool.FindMessageTypeByName(method.request)
        return rules.message(message, *rules.stated(operation)) if operation else rules.message(message, {}, ())

    return bounds


class _Rules:
    def __init__(self, contracts: Contracts) -> None:
        self._contracts = contracts
        self._mirrored = {
            schema["x-message"]: schema for schema in contracts.schemas(API).values() if "x-message" in schema
        }

    def stated(self, operation: Operation) -> tuple[dict[str, Schema], set[str]]:
        """What an operation takes, by name, and which of it must be there."""
        properties = {snake(parameter["name"]): parameter["schema"] for parameter in operation.parameters}
        required = {snake(parameter["name"]) for parameter in operation.parameters if parameter.get("required")}
        if operation.body is not None:
            body = self._contracts.deref(API, next(iter(operation.body.values())).get("schema", {}))
            properties |= body.get("properties", {})
            required |= set(body.get("required", ()))
        return properties, required

    def message(self, message: Descriptor, properties: Mapping[str, Schema], required: Any) -> Schema:
        """The bounds of those fields that have some."""
        found = {field.name: rule for field in message.fields if (rule := self._field(field, properties))}
        here = found.keys() & set(required)
        absent = {field.name for field in message.fields if field.name in found and not field.has_presence} - here
        return {"properties": found, "required": sorted(here), ABSENT: sorted(absent)} if found else {}

    def _field(self, field: FieldDescriptor, properties: Mapping[str, Schema]) -> Schema:
        schema = self._contracts.deref(API, properties.get(field.name, {}))
        if not field.is_repeated:
            return self._single(field, schema)
        item = self._single(field, self._contracts.deref(API, schema.get("items", {})))
        return {key: schema[key] for key in schema if key in COUNTED} | ({"items": item} if item else {})

    def _single(self, field: FieldDescriptor, schema: Schema) -> Schema:
        if field.message_type is not None:
            mirrored = schema if "properties" in schema else self._mirrored.get(field.message_type.full_name, {})
            return self.message(field.message_type, mirrored.get("properties", {}), mirrored.get("required", ()))
        if field.enum_type is not None or "enum" in schema:
            return {}
        return {key: schema[key] for key in sorted(schema) if key in TOLD}
