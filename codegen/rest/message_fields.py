"""Matching of OpenAPI properties with message fields, which both directions of conversion share.

A field and a property match if they have the same name and compatible types; a mismatch is an error at generation.
"""

import keyword
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import EnumDescriptorProto

from codegen.contracts import ContractError, Contracts
from codegen.errors import map_all
from codegen.openapi.names import get_class_name
from codegen.rpc.python_names import get_class_name as get_class_name_of_message
from codegen.rpc.python_names import list_member_names, list_value_names

INTEGER_FIELD_TYPES = frozenset(
    {
        *(FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_SINT32, FieldDescriptor.TYPE_SFIXED32),
        *(FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_SINT64, FieldDescriptor.TYPE_SFIXED64),
        *(FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_FIXED32),
        *(FieldDescriptor.TYPE_UINT64, FieldDescriptor.TYPE_FIXED64),
    }
)
SCALAR_FIELD_TYPES = {
    "integer": INTEGER_FIELD_TYPES,
    "number": frozenset({FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT}),
    "boolean": frozenset({FieldDescriptor.TYPE_BOOL}),
    "string": frozenset({FieldDescriptor.TYPE_STRING}),
}
TYPED_FORMATS = frozenset({"date-time", "date", "time", "duration", "uuid", "byte", "binary"})
"""String formats with a Python type other than str in the models."""

RESERVED_ATTRIBUTE_NAMES = frozenset({"field"})
"""Properties whose attribute the generator of the models renames."""

REMOVE_FIELD = "remove"
"""Field with the names of the properties that a merge patch sets to null."""

TIMESTAMP = "google.protobuf.Timestamp"
NOT_OPTIONAL = "is not required but the field is not `optional`"
HEADER = '"""Written by `make generate` from api-specs. Do not edit."""\n\n'

type Schema = dict[str, Any]


@dataclass(frozen=True)
class SchemaMessagePair:
    """A schema, or the input of an operation, and its message."""

    name: str
    schema: Schema
    message: Descriptor
    location: str
    """Place for errors: `api-specs/openapi/library.yaml:123: schema Loan`."""

    @property
    def class_name(self) -> str:
        """Return the class of the schema."""
        return get_class_name(self.name)

    def check_attribute_name(self, name: str) -> None:
        """Raise ContractError unless a property has an attribute of the same name."""
        if not name.isidentifier() or keyword.iskeyword(name) or name in RESERVED_ATTRIBUTE_NAMES:
            raise ContractError(f"{self.location}: the property {name} is no name of an attribute; rename it")

    def create_mismatch_error(self, field: str, mismatch: str) -> ContractError:
        """Return an error that names both files."""
        place = f"{self.message.file.name} ({self.message.name})"
        return ContractError(f"{self.location}: {self.name}.{field} {mismatch} in {place}; change one of both")

    def check_names(self, mismatches: Mapping[str, Iterable[str]]) -> None:
        """Raise ContractError with all names of fields that have a mismatch."""
        if errors := [
            str(self.create_mismatch_error(name, mismatch))
            for mismatch, names in mismatches.items()
            for name in sorted(names)
        ]:
            raise ContractError(*errors)


class FieldConverter(ABC):
    """Base of the renderers of conversion functions: checks types and collects the imported packages."""

    def __init__(self, contracts: Contracts) -> None:
        self.contracts = contracts
        self.packages: set[str] = set()

    @abstractmethod
    def render_enum_expression(self, model: str, enum: EnumDescriptor, source: str) -> str:
        """Return the expression that converts an enum value."""

    @abstractmethod
    def render_message_expression(
        self, pair: SchemaMessagePair, name: str, schema: Schema, message: Descriptor, source: str
    ) -> str:
        """Return the expression that converts a nested object."""

    @abstractmethod
    def render_timestamp_expression(self, source: str) -> str:
        """Return the expression that converts a point in time."""

    def render_message_type(self, message: Descriptor | EnumDescriptor) -> str:
        """Return the expression of the class of a message or an enum in generated code."""
        package = message.file.package
        self.packages.add(package)
        return f"{get_module_alias(package)}.{get_message_class_name(message)}"

    def render_value_expression(
        self, pair: SchemaMessagePair, name: str, schema: Schema, field: FieldDescriptor, source: str
    ) -> str:
        """Return the expression that converts a field's value.

        Raises ContractError if property and field have different types.
        """
        if field.is_repeated:
            resolved = self.contracts.resolve_reference(self.contracts.name, schema)
            if resolved.get("type") != "array":
                raise pair.create_mismatch_error(name, "is not an array but a repeated field")
            item = self._render_item_expression(pair, name, resolved["items"], field, "item")
            return f"[*{source}]" if item == "item" else f"[{item} for item in {source}]"
        return self._render_item_expression(pair, name, schema, field, source)

    def _render_item_expression(
        self, pair: SchemaMessagePair, name: str, schema: Schema, field: FieldDescriptor, source: str
    ) -> str:
        resolved = self.contracts.resolve_reference(self.contracts.name, schema)
        if field.enum_type is not None:
            self._check_enum(pair, name, schema, field.enum_type)
            self.packages.add(field.enum_type.file.package)
            return self.render_enum_expression(get_referenced_name(schema), field.enum_type, source)
        if field.message_type is not None and field.message_type.full_name == TIMESTAMP:
            if resolved.get("format") != "date-time":
                raise pair.create_mismatch_error(name, "is not a date-time but a Timestamp field")
            return self.render_timestamp_expression(source)
        if field.message_type is not None:
            return self.render_message_expression(pair, name, schema, field.message_type, source)
        kind = resolved.get("type")
        if not isinstance(kind, str) or field.type not in SCALAR_FIELD_TYPES.get(kind, ()):
            raise pair.create_mismatch_error(name, "has a different type")
        if resolved.get("format") in TYPED_FORMATS or "enum" in resolved:
            raise pair.create_mismatch_error(name, "has a format or an enum but is a plain string field")
        return source

    def _check_enum(self, pair: SchemaMessagePair, name: str, schema: Schema, enum: EnumDescriptor) -> None:
        resolved = self.contracts.resolve_reference(self.contracts.name, schema)
        if "$ref" not in schema or "enum" not in resolved:
            raise pair.create_mismatch_error(name, "is not a named enum under components/schemas but an enum field")
        if len({value.number for value in enum.values}) < len(enum.values):
            raise pair.create_mismatch_error(name, "is an enum field with several names of one value")
        if different := set(list_enum_members(enum)) ^ set(resolved["enum"]):
            raise pair.create_mismatch_error(name, f"has different values: {', '.join(sorted(different))}")

    def render_imports(self) -> str:
        """Render the imports of the messages' packages."""
        return "".join(
            f"from generated.proto.{parent} import {version} as {get_module_alias(f'{parent}.{version}')}\n"
            for parent, _, version in (package.rpartition(".") for package in sorted(self.packages))
        )


def list_schema_message_pairs(contracts: Contracts) -> dict[str, SchemaMessagePair]:
    """Return the schemas with a message in `x-message`, by name. Raises ContractError for unknown messages."""
    schemas = contracts.get_schemas(contracts.name) if contracts.name in contracts.openapi else {}
    names = [name for name, schema in schemas.items() if "x-message" in schema]
    pairs = map_all(lambda name: _create_pair(contracts, name, schemas[name]), names)
    return dict(zip(names, pairs, strict=True))


def _create_pair(contracts: Contracts, name: str, schema: Schema) -> SchemaMessagePair:
    location = contracts.format_location(contracts.name, "components", "schemas", name)
    if not isinstance(schema.get("properties"), dict):
        raise ContractError(f"{location}: x-message is not beside `properties`; write an object with the fields")
    try:
        message = contracts.protos.pool.FindMessageTypeByName(schema["x-message"])
    except (KeyError, TypeError) as error:
        raise ContractError(f"{location}: x-message is not a message: {schema['x-message']}; correct it") from error
    return SchemaMessagePair(name, schema, message, location)


def list_page_responses(contracts: Contracts) -> frozenset[str]:
    """Return the names of response messages that are pages: they have a schema and a field `items`."""
    responses = list_response_names(contracts)
    return frozenset(
        pair.message.full_name
        for pair in list_schema_message_pairs(contracts).values()
        if pair.message.full_name in responses and "items" in pair.message.fields_by_name
    )


def list_response_names(contracts: Contracts) -> frozenset[str]:
    """Return the names of the response messages of all methods."""
    return frozenset(method.response for service in contracts.protos.services for method in service.methods)


def list_enum_members(enum: EnumDescriptor) -> dict[str, str]:
    """Return the Python names of an enum's values, except the unspecified one, by their names in JSON."""
    proto = EnumDescriptorProto()
    enum.CopyToProto(proto)
    names = zip(list_value_names(proto), list_member_names(proto), enum.values, strict=True)
    return {name.lower(): member for name, member, value in names if value.number}


def get_message_class_name(message: Descriptor | EnumDescriptor) -> str:
    """Return the class name of a message or an enum, which may be nested."""
    return get_class_name_of_message(message.full_name.removeprefix(f"{message.file.package}."))


def remove_null(schema: Schema | bool) -> tuple[Schema, bool]:
    """Return the schema of a property's value other than null, and whether null is allowed."""
    if isinstance(schema, bool):
        return {}, False
    kinds, alternatives = schema.get("type"), schema.get("anyOf", ())
    if isinstance(kinds, list) and len(kinds) == 2 and "null" in kinds:
        return schema | {"type": next(kind for kind in kinds if kind != "null")}, True
    if len(alternatives) == 2 and {"type": "null"} in alternatives:
        return next(each for each in alternatives if each != {"type": "null"}), True
    return schema, False


def get_referenced_name(schema: Schema) -> str:
    """Return the name of the schema that a property references; empty for an inline schema."""
    name: str = schema.get("$ref", "").rsplit("/", 1)[-1]
    return name


def get_module_alias(package: str) -> str:
    """Convert library.loans.v1 to loans_v1."""
    return "_".join(package.split(".")[1:])
