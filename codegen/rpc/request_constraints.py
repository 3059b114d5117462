"""What an RPC's request is held to: the bounds that the REST operation of the same name, and mirrored schemas, state.

Fields pair up with parameters and properties by name, messages with schemas by `x-message`. So what is refused at the
public door is refused at every inner one, and no bound is written twice.
"""

from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from codegen.contracts import Contracts
from codegen.naming import snake
from codegen.protobuf import Method
from codegen.rest.operations import Operation, operations

API = "delivery"
SCALAR_KEYWORDS = frozenset({"type", "format", "pattern", "minLength", "maxLength", "minimum", "maximum", "multipleOf"})
ARRAY_KEYWORDS = frozenset({"minItems", "maxItems", "uniqueItems"})
IMPLICIT_PRESENCE = "x-implicit-presence"
"""Those properties whose field cannot be absent, and has its zero value instead."""

type Schema = dict[str, Any]
type ConstraintLookup = Callable[[Method], Schema]


def build_lookup(contracts: Contracts) -> ConstraintLookup:
    """Finds the bounds of a method's request, as the JSON Schema of an object; empty when there are none."""
    if API not in contracts.openapi:
        return lambda method: {}
    named = {operation.id: operation for operation in operations(contracts, API)}
    rules = _ConstraintBuilder(contracts)

    def bounds(method: Method) -> Schema:
        operation = named.get(method.name[0].lower() + method.name[1:])
        message = contracts.protos.pool.FindMessageTypeByName(method.request)
        return (
            rules.message_constraints(message, *rules.operation_constraints(operation))
            if operation
            else rules.message_constraints(message, {}, ())
        )

    return bounds


class _ConstraintBuilder:
    def __init__(self, contracts: Contracts) -> None:
        self._contracts = contracts
        self._schemas_by_message = {
            schema["x-message"]: schema for schema in contracts.schemas(API).values() if "x-message" in schema
        }

    def operation_constraints(self, operation: Operation) -> tuple[dict[str, Schema], set[str]]:
        """What an operation takes, by name, and which of it must be there."""
        properties = {snake(parameter["name"]): parameter["schema"] for parameter in operation.parameters}
        required = {snake(parameter["name"]) for parameter in operation.parameters if parameter.get("required")}
        if operation.body is not None:
            body = self._contracts.resolve_reference(API, next(iter(operation.body.values())).get("schema", {}))
            properties |= body.get("properties", {})
            required |= set(body.get("required", ()))
        return properties, required

    def message_constraints(self, message: Descriptor, properties: Mapping[str, Schema], required: Any) -> Schema:
        """The bounds of those fields that have some."""
        found = {field.name: rule for field in message.fields if (rule := self._field_constraints(field, properties))}
        here = found.keys() & set(required)
        absent = {field.name for field in message.fields if field.name in found and not field.has_presence} - here
        return {"properties": found, "required": sorted(here), IMPLICIT_PRESENCE: sorted(absent)} if found else {}

    def _field_constraints(self, field: FieldDescriptor, properties: Mapping[str, Schema]) -> Schema:
        schema = self._contracts.resolve_reference(API, properties.get(field.name, {}))
        if not field.is_repeated:
            return self._value_constraints(field, schema)
        item = self._value_constraints(field, self._contracts.resolve_reference(API, schema.get("items", {})))
        return {key: schema[key] for key in schema if key in ARRAY_KEYWORDS} | ({"items": item} if item else {})

    def _value_constraints(self, field: FieldDescriptor, schema: Schema) -> Schema:
        if field.message_type is not None:
            mirrored = (
                schema if "properties" in schema else self._schemas_by_message.get(field.message_type.full_name, {})
            )
            return self.message_constraints(
                field.message_type, mirrored.get("properties", {}), mirrored.get("required", ())
            )
        if field.enum_type is not None or "enum" in schema:
            return {}
        return {key: schema[key] for key in sorted(schema) if key in SCALAR_KEYWORDS}
