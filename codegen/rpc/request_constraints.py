"""Constraints of RPC requests, derived from the REST operation of the method and from schemas with `x-message`.

Fields are matched with parameters and properties by name, messages with schemas by `x-message`. Each constraint is
defined once, in the public API, and enforced in every service.
"""

from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from codegen.contracts import ContractError, Contracts
from codegen.naming import to_snake_case
from codegen.protobuf import Method
from codegen.rest.message_fields import REMOVE_FIELD, remove_null
from codegen.rest.operations import Operation, iter_operations
from codegen.rest.rpc_methods import is_method_of

SCALAR_KEYWORDS = frozenset({"type", "format", "pattern", "minLength", "maxLength", "minimum", "maximum", "multipleOf"})
ARRAY_KEYWORDS = frozenset({"minItems", "maxItems", "uniqueItems"})
LIBRARY_PACKAGE = "google.protobuf"
"""Package of well-known types, which no schema constrains field by field."""

PAGE_SIZE = "page_size"
"""Field whose zero value stands for its default; the gateway sends every other default."""

IMPLICIT_PRESENCE = "x-implicit-presence"
"""Keyword for properties whose field has no presence and defaults to its zero value."""

type Schema = dict[str, Any]
type ConstraintLookup = Callable[[Method], Schema]


def build_lookup(contracts: Contracts) -> ConstraintLookup:
    """Return a function that finds the JSON Schema of a method's request; it is empty without constraints."""
    if contracts.name not in contracts.openapi:
        return lambda method: {}
    all_operations = list(iter_operations(contracts, contracts.name))
    builder = _ConstraintBuilder(contracts)

    def build_constraints(method: Method) -> Schema:
        operation = next((each for each in all_operations if is_method_of(each, method)), None)
        message = contracts.protos.pool.FindMessageTypeByName(method.request)
        return (
            builder.build_message_constraints(message, *builder.build_operation_constraints(operation))
            if operation
            else builder.build_message_constraints(message, {}, ())
        )

    return build_constraints


class _ConstraintBuilder:
    def __init__(self, contracts: Contracts) -> None:
        self._contracts = contracts
        self._open_messages: set[str] = set()
        self._schemas_by_message = {
            schema["x-message"]: schema
            for schema in contracts.get_schemas(contracts.name).values()
            if "x-message" in schema
        }

    def _resolve(self, schema: Schema) -> Schema:
        return self._contracts.resolve_reference(self._contracts.name, schema)

    def build_operation_constraints(self, operation: Operation) -> tuple[dict[str, Schema], set[str]]:
        """Return the schemas of parameters and body properties by name, and the required names."""
        properties = {to_snake_case(parameter["name"]): parameter["schema"] for parameter in operation.parameters}
        required = {to_snake_case(parameter["name"]) for parameter in operation.parameters if parameter.get("required")}
        if operation.body is not None:
            body = self._resolve(next(iter(operation.body.values())).get("schema", {}))
            properties |= body.get("properties", {})
            required |= set(body.get("required", ()))
        return properties, required

    def build_message_constraints(self, message: Descriptor, properties: Mapping[str, Schema], required: Any) -> Schema:
        """Return the constraints of a message's fields."""
        constrained = {
            field.name: schema
            for field in message.fields
            if (schema := self._build_field_constraints(field, properties))
        }
        if REMOVE_FIELD in message.fields_by_name:
            nullable = [name for name, schema in properties.items() if remove_null(schema)[1]]
            constrained[REMOVE_FIELD] = {"items": {"enum": sorted(nullable)}}
        if not constrained:
            return {}
        without_presence = {field.name for field in message.fields if not field.has_presence}
        with_default = {name for name, each in properties.items() if "default" in self._resolve(each)} - {PAGE_SIZE}
        present = constrained.keys() & ({*required} | (with_default & without_presence))
        implicit = (without_presence & constrained.keys()) - present
        return {"properties": constrained, "required": sorted(present), IMPLICIT_PRESENCE: sorted(implicit)}

    def _build_nested_constraints(self, message: Descriptor, schema: Schema) -> Schema:
        """Return the constraints of a nested message; one that contains itself cannot have any."""
        name = message.full_name
        if name in self._open_messages:
            if schema.get("properties"):
                raise ContractError(
                    f"{self._contracts.name}.yaml: the message {name} contains itself; delete the limits of its schema"
                )
            return {}
        self._open_messages.add(name)
        try:
            return self.build_message_constraints(message, schema.get("properties", {}), schema.get("required", ()))
        finally:
            self._open_messages.remove(name)

    def _build_field_constraints(self, field: FieldDescriptor, properties: Mapping[str, Schema]) -> Schema:
        schema = self._resolve(remove_null(properties.get(field.name, {}))[0])
        if not field.is_repeated:
            return self._build_value_constraints(field, schema)
        item = self._build_value_constraints(field, self._resolve(schema.get("items", {})))
        return {key: schema[key] for key in schema if key in ARRAY_KEYWORDS} | ({"items": item} if item else {})

    def _build_value_constraints(self, field: FieldDescriptor, schema: Schema) -> Schema:
        if field.message_type is not None:
            if field.message_type.file.package == LIBRARY_PACKAGE:
                return {}
            message_schema = (
                schema if "properties" in schema else self._schemas_by_message.get(field.message_type.full_name, {})
            )
            return self._build_nested_constraints(field.message_type, message_schema)
        if field.enum_type is not None or "enum" in schema:
            return {}
        return {key: schema[key] for key in sorted(schema) if key in SCALAR_KEYWORDS}
