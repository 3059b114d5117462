"""Generator of converters from messages to REST models, for schemas with a message in `x-message`.

The schema of an RPC response omits the fields that become headers. It may contain the fields of a nested message
instead of that message.

`convert.py` converts messages that handlers access. `pages.py` converts pages directly from the wire format, because
handlers only forward them and decoding a message object per item would dominate the cost of the request.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from codegen.contracts import Contracts, Files
from codegen.errors import map_all
from codegen.naming import to_snake_case
from codegen.openapi.names import get_class_name
from codegen.openapi.schemas import SCHEMAS_PREFIX
from codegen.rest.message_fields import (
    HEADER,
    NOT_OPTIONAL,
    FieldConverter,
    Schema,
    SchemaMessagePair,
    get_referenced_name,
    list_enum_members,
    list_page_responses,
    list_response_names,
    list_schema_message_pairs,
)
from codegen.rest.models import list_referenced_schemas
from codegen.rest.operations import iter_operations
from codegen.rpc.python_names import get_attribute_name

HEADER_FIELDS = frozenset({"etag", "replayed", "version"})
"""Fields of RPC responses that become the headers ETag and Idempotency-Replayed."""

IMPORTS = "from msgspec import UNSET\n\n"
MESSAGE_IMPORTS = "from generated.rest.{mesh} import models\nfrom services.runtime.rest.types import require\n\n"
WIRE_IMPORTS = """from generated.rest.{mesh} import convert, models
from services.runtime.rpc.codec import Wire, parse_timestamp, require_field


"""


@dataclass(frozen=True)
class MatchedField:
    """A property and its field, with the expression of the field's value."""

    name: str
    schema: Schema
    field: FieldDescriptor
    required: bool
    owner: str
    """Variable of the message that contains the field."""


class ConverterModule(FieldConverter):
    """Renderer of one module with converters, from message objects or from the wire format."""

    def __init__(self, contracts: Contracts, *, from_wire: bool = False) -> None:
        super().__init__(contracts)
        self.from_wire = from_wire
        self.pairs = list_schema_message_pairs(contracts)
        self.responses = list_response_names(contracts)
        self.enums: dict[str, EnumDescriptor] = {}

    def match_fields(self, pair: SchemaMessagePair) -> Iterator[MatchedField]:
        """Yield each property with its field.

        Raises ContractError for a field without a counterpart.
        """
        named = {field.name: (field, "message") for field in pair.message.fields}
        for container, message in self.find_unwrapped_fields(pair).items():
            del named[container]
            inner = {field.name: (field, f"_{container}") for field in message.fields}
            for name in inner.keys() & named.keys():
                raise pair.create_mismatch_error(name, f"is a field of {message.name} and a field")
            named |= inner
        properties = pair.schema["properties"]
        headers = HEADER_FIELDS if pair.message.full_name in self.responses else frozenset()
        pair.check_names(
            {
                "has no field": properties.keys() - named.keys(),
                "has no property but a field": named.keys() - properties.keys() - headers,
            }
        )
        for name, schema in properties.items():
            pair.check_attribute_name(name)
            field, owner = named[name]
            yield MatchedField(
                name, schema if isinstance(schema, dict) else {}, field, name in pair.schema.get("required", ()), owner
            )

    def find_unwrapped_fields(self, pair: SchemaMessagePair) -> dict[str, Descriptor]:
        """Return the nested messages of an RPC response whose fields are properties of the schema, by field name."""
        if pair.message.full_name not in self.responses:
            return {}
        properties, fields = pair.schema["properties"], pair.message.fields
        nested = {field.name: field.message_type for field in fields if not field.is_repeated}
        return {name: message for name, message in nested.items() if message is not None and name not in properties}

    def render_enum_expression(self, model: str, enum: EnumDescriptor, source: str) -> str:
        """Return the value in the table of the enum."""
        self.enums[model] = enum
        table = f"{get_converter_name(model).upper()}[{source}]"
        return f"convert.{table}" if self.from_wire else table

    def render_message_expression(
        self, pair: SchemaMessagePair, name: str, schema: Schema, message: Descriptor, source: str
    ) -> str:
        """Return the call of the converter of the referenced schema."""
        model = get_referenced_name(schema)
        if model not in self.pairs or self.pairs[model].message is not message:
            raise pair.create_mismatch_error(name, f"does not reference the schema of {message.full_name}")
        return f"{get_converter_name(model)}({source})"

    def render_timestamp_expression(self, source: str) -> str:
        """Return the datetime of a Timestamp."""
        return f"parse_timestamp({source})" if self.from_wire else source

    def render_to_model(self, pair: SchemaMessagePair) -> str:
        """Render the function from message to model."""
        lines = map_all(
            lambda matched: f"{matched.name}={self.render_field_expression(pair, matched)}", self.match_fields(pair)
        )
        body = ",\n        ".join(lines)
        unwrapped = "".join(
            f"    _{name} = {self.render_required_message('message', name)}\n"
            for name in self.find_unwrapped_fields(pair)
        )
        kind = "Wire" if self.from_wire else self.render_message_type(pair.message)
        return (
            f"def {get_converter_name(pair.name)}(message: {kind}) -> models.{pair.class_name}:\n"
            f'    """{pair.message.full_name} → {pair.name}."""\n'
            f"{unwrapped}"
            f"    return models.{pair.class_name}(\n        {body},\n    )\n\n\n"
        )

    def render_field_access(self, owner: str, name: str) -> str:
        """Return the expression of a field of a message. The wire format has no Python names."""
        return f"{owner}.{name if self.from_wire else get_attribute_name(name)}"

    def render_required_message(self, owner: str, name: str) -> str:
        """Return the expression of a field that contains a required message."""
        return (
            f'require_field({owner}, "{name}")'
            if self.from_wire
            else f"require({self.render_field_access(owner, name)})"
        )

    def render_field_expression(self, pair: SchemaMessagePair, matched: MatchedField) -> str:
        """Return the expression of a property's value, UNSET if the field is absent."""
        name, field, owner = matched.name, matched.field, matched.owner
        source = self.render_field_access(owner, name)
        if field.is_repeated:
            return self.render_value_expression(pair, name, matched.schema, field, source)
        if not matched.required and not field.has_presence:
            raise pair.create_mismatch_error(name, NOT_OPTIONAL)
        if matched.required and field.type == FieldDescriptor.TYPE_MESSAGE:
            source = self.render_required_message(owner, name)
        value = self.render_value_expression(pair, name, matched.schema, field, source)
        if not matched.required and self.from_wire and self._is_text_never_empty(matched):
            return f"{source} or UNSET"  # an absent field is empty, and HasField takes twice as long
        absent = f'not {owner}.HasField("{name}")' if self.from_wire else f"{source} is None"
        return value if matched.required else f"UNSET if {absent} else {value}"

    def _is_text_never_empty(self, matched: MatchedField) -> bool:
        """Return whether a field is a text, which the schema of its property does not allow to be empty."""
        schema = self.contracts.resolve_reference(self.contracts.name, matched.schema)
        is_nonempty = schema.get("minLength", 0) > 0 or not re.search(schema.get("pattern", ""), "")
        return matched.field.type == FieldDescriptor.TYPE_STRING and is_nonempty

    def render_module(self, selected: Iterable[SchemaMessagePair]) -> str:
        """Render the module."""
        functions = "".join(map_all(self.render_to_model, selected))
        if self.from_wire:
            return HEADER + IMPORTS + WIRE_IMPORTS.format(mesh=self.contracts.name) + functions
        message_imports = self.render_imports() + MESSAGE_IMPORTS.format(mesh=self.contracts.name)
        return HEADER + IMPORTS + message_imports + self.render_enum_tables() + functions

    def render_enum_tables(self) -> str:
        """Render the mapping from protobuf to REST values of each enum."""
        return "".join(
            f"{get_converter_name(model).upper()} = {{\n"
            + "".join(
                f"    {self.render_message_type(enum)}.{member}: models.{get_class_name(model)}({value!r}),\n"
                for value, member in list_enum_members(enum).items()
            )
            + "}\n\n"
            for model, enum in sorted(self.enums.items())
        )


def get_converter_name(schema: str) -> str:
    """Return the function that converts to the class of a schema."""
    return to_snake_case(get_class_name(schema))


def list_response_schemas(contracts: Contracts) -> frozenset[str]:
    """Return the names of the schemas that success responses reference directly."""
    operations = iter_operations(contracts, contracts.name) if contracts.name in contracts.openapi else ()
    schemas = [content.get("schema", {}) for operation in operations for content in operation.content.values()]
    return frozenset(get_referenced_name(schema) for schema in schemas if "$ref" in schema)


def list_nested_schemas(contracts: Contracts, names: Iterable[str]) -> Collection[str]:
    """Return the names of the schemas and their nested schemas."""
    return list_referenced_schemas(contracts, contracts.name, [{"$ref": f"{SCHEMAS_PREFIX}{name}"} for name in names])


def generate(contracts: Contracts) -> Files:
    """Generate `rest/<mesh>/convert.py` and `rest/<mesh>/pages.py`, for the schemas of success responses."""
    pairs, pages = list_schema_message_pairs(contracts), list_page_responses(contracts)
    roots = list_response_schemas(contracts)
    page_roots = [name for name in roots if name in pairs and pairs[name].message.full_name in pages]
    wire_schemas = list_nested_schemas(contracts, page_roots)
    object_schemas = list_nested_schemas(contracts, roots - {*page_roots})
    wire_pairs = [pair for name, pair in pairs.items() if name in wire_schemas]
    object_pairs = [pair for name, pair in pairs.items() if name in object_schemas]
    wire_module, object_module = ConverterModule(contracts, from_wire=True), ConverterModule(contracts)
    # Both modules share the enum tables of convert.py, which is rendered last.
    object_module.enums, object_module.packages = wire_module.enums, wire_module.packages
    modules = ((wire_module, wire_pairs), (object_module, object_pairs))
    wire_text, object_text = map_all(lambda each: each[0].render_module(each[1]), modules)
    return {contracts.get_rest_path("convert"): object_text, contracts.get_rest_path("pages"): wire_text}
