"""Generator of converters between messages and REST models, for schemas with a message in `x-message`.

Fields are matched by name; a field without a counterpart is an error at generation. `convert.py` converts messages
that handlers access. `pages.py` converts pages directly from the wire format, because handlers only forward them and
decoding a message object per item would dominate the cost of the request.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from codegen.contracts import ContractError, Contracts, Files
from codegen.naming import snake

API = "delivery"
INTEGER_FIELD_TYPES = frozenset(
    {FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_UINT64}
)
SCALAR_FIELD_TYPES = {
    "integer": INTEGER_FIELD_TYPES,
    "number": frozenset({FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT}),
    "boolean": frozenset({FieldDescriptor.TYPE_BOOL}),
    "string": frozenset({FieldDescriptor.TYPE_STRING}),
}
TYPED_FORMATS = frozenset({"date-time", "date", "time", "duration", "uuid", "byte", "binary"})
"""String formats with a Python type other than str in the models."""

TIMESTAMP = "google.protobuf.Timestamp"
HEADER = '"""Written by `make generate` from api-specs. Do not edit."""\n\nfrom msgspec import UNSET\n\n'
MESSAGE_IMPORTS = "from generated.rest.delivery import models\nfrom services.runtime.rest.types import require\n\n"
WIRE_IMPORTS = """from generated.rest.delivery import convert, models
from services.runtime.rpc.codec import Wire, parse_timestamp, require_field


"""


@dataclass(frozen=True)
class SchemaMessagePair:
    """A schema and the message in its `x-message`."""

    name: str
    schema: dict[str, Any]
    message: Descriptor

    def mismatch_error(self, field: str, mismatch: str) -> ContractError:
        """Return an error that names both files."""
        return ContractError(
            f"{API}.yaml: {self.name}.{field} {mismatch} in {self.message.file.name} ({self.message.name})"
        )


class ConverterModule:
    """Renderer of one module with converters, from message objects or from the wire format."""

    def __init__(self, contracts: Contracts, *, from_wire: bool = False) -> None:
        self.contracts = contracts
        self.from_wire = from_wire
        self.pairs = schema_message_pairs(contracts)
        self.packages: set[str] = set()
        self.enums: dict[str, tuple[str, EnumDescriptor]] = {}

    def match_fields(self, pair: SchemaMessagePair) -> Iterator[tuple[str, dict[str, Any], FieldDescriptor, bool]]:
        """Yield name, schema, field and required flag of each matched pair.

        Raises ContractError for a field without a counterpart.
        """
        named = {field.name: field for field in pair.message.fields}
        properties = pair.schema["properties"]
        for name in properties.keys() - named.keys():
            raise pair.mismatch_error(name, "has no field")
        for name in named.keys() - properties.keys():
            raise pair.mismatch_error(name, "has no property but a field")
        for name, schema in properties.items():
            yield name, schema, named[name], name in pair.schema.get("required", ())

    def message_type(self, message: Descriptor) -> str:
        """Return the expression of a message's class in generated code."""
        package = message.file.package
        self.packages.add(package)
        return f"{module_alias(package)}.{message.name}"

    def value_expression(
        self, pair: SchemaMessagePair, name: str, schema: dict[str, Any], field: FieldDescriptor, source: str
    ) -> str:
        """Return the expression that converts a field's value to the model's."""
        resolved = self.contracts.resolve_reference(API, schema)
        if field.is_repeated:
            if resolved.get("type") != "array":
                raise pair.mismatch_error(name, "is not an array but a repeated field")
            item = self.item_expression(pair, name, resolved["items"], field, "item")
            return f"list({source})" if item == "item" else f"[{item} for item in {source}]"
        return self.item_expression(pair, name, schema, field, source)

    def item_expression(
        self, pair: SchemaMessagePair, name: str, schema: dict[str, Any], field: FieldDescriptor, source: str
    ) -> str:
        """Return the expression for a single value, or for one item of a repeated field."""
        resolved = self.contracts.resolve_reference(API, schema)
        if field.enum_type is not None:
            if "$ref" not in schema or "enum" not in resolved:
                raise pair.mismatch_error(name, "is not a named enum under components/schemas but an enum field")
            model = schema["$ref"].rsplit("/", 1)[1]
            prefix = snake(field.enum_type.name).upper() + "_"
            members = {v.name.removeprefix(prefix).lower() for v in field.enum_type.values if v.number}
            if members != set(resolved["enum"]):
                raise pair.mismatch_error(
                    name, f"has different values: {', '.join(sorted(members ^ set(resolved['enum'])))}"
                )
            self.enums[model] = (module_alias(field.enum_type.file.package), field.enum_type)
            self.packages.add(field.enum_type.file.package)
            table = f"{snake(model).upper()}[{source}]"
            return f"convert.{table}" if self.from_wire else table
        if field.message_type is not None:
            message_name = field.message_type.full_name
            if message_name == TIMESTAMP:
                if resolved.get("format") != "date-time":
                    raise pair.mismatch_error(name, "is not a date-time but a Timestamp field")
                return f"parse_timestamp({source})" if self.from_wire else source
            model = schema.get("$ref", "").rsplit("/", 1)[-1]
            if model not in self.pairs or self.pairs[model].message.full_name != message_name:
                raise pair.mismatch_error(name, f"does not reference the schema of {message_name}")
            return f"{snake(model)}({source})"
        kind = resolved.get("type")
        if not isinstance(kind, str) or field.type not in SCALAR_FIELD_TYPES.get(kind, ()):
            raise pair.mismatch_error(name, "has a different type")
        if resolved.get("format") in TYPED_FORMATS or "enum" in resolved:
            raise pair.mismatch_error(name, "has a format or an enum but is a plain string field")
        return source

    def render_to_model(self, pair: SchemaMessagePair) -> str:
        """Render the function from message to model."""
        lines = []
        for name, schema, field, required in self.match_fields(pair):
            source = f"message.{name}"
            absent = f'not message.HasField("{name}")' if self.from_wire else f"{source} is None"
            if field.is_repeated:
                lines.append(f"{name}={self.value_expression(pair, name, schema, field, source)}")
                continue
            optional = field.has_presence and not required
            if not required and not field.has_presence:
                raise pair.mismatch_error(name, "is not required but the field is not `optional`")
            if field.type == FieldDescriptor.TYPE_MESSAGE and required:
                source = f'require_field(message, "{name}")' if self.from_wire else f"require({source})"
            value = self.value_expression(pair, name, schema, field, source)
            lines.append(f"{name}=UNSET if {absent} else {value}" if optional else f"{name}={value}")
        body = ",\n        ".join(lines)
        kind = "Wire" if self.from_wire else self.message_type(pair.message)
        return (
            f"def {snake(pair.name)}(message: {kind}) -> models.{pair.name}:\n"
            f'    """{pair.message.full_name} → {pair.name}."""\n'
            f"    return models.{pair.name}(\n        {body},\n    )\n\n\n"
        )

    def render_to_message(self, pair: SchemaMessagePair) -> str:
        """Render the function from model to message, for request schemas."""
        lines = []
        for name, _, field, required in self.match_fields(pair):
            if field.type in (FieldDescriptor.TYPE_MESSAGE, FieldDescriptor.TYPE_ENUM) or field.is_repeated:
                raise pair.mismatch_error(name, "is not a scalar, which is unsupported in requests")
            source = f"model.{name}"
            lines.append(f"{name}={source}" if required else f"{name}=None if {source} is UNSET else {source}")
        body = ",\n        ".join(lines)
        kind = self.message_type(pair.message)
        return (
            f"def to_{snake(pair.name)}(model: models.{pair.name}) -> {kind}:\n"
            f'    """{pair.name} → {pair.message.full_name}."""\n'
            f"    return {kind}(\n        {body},\n    )\n\n\n"
        )

    def render_module(self, selected: Iterable[SchemaMessagePair]) -> str:
        """Render the module."""
        functions = "".join(
            self.render_to_model(pair)
            + (self.render_to_message(pair) if not self.from_wire and is_request_schema(pair) else "")
            for pair in selected
        )
        imports = "".join(
            f"from generated.proto.{parent} import {version} as {module_alias(f'{parent}.{version}')}\n"
            for parent, _, version in (package.rpartition(".") for package in sorted(self.packages))
        )
        return (
            HEADER
            + (WIRE_IMPORTS if self.from_wire else f"{imports}{MESSAGE_IMPORTS}{self.render_enum_tables()}")
            + functions
        )

    def render_enum_tables(self) -> str:
        """Render the mapping from protobuf to REST values of each enum."""
        return "".join(
            f"{snake(model).upper()} = {{\n"
            + "".join(
                f"    {package}.{enum.name}.{member}: models.{model}.{member.lower()},\n"
                for member in (v.name.removeprefix(snake(enum.name).upper() + "_") for v in enum.values if v.number)
            )
            + "}\n\n"
            for model, (package, enum) in sorted(self.enums.items())
        )


def schema_message_pairs(contracts: Contracts) -> dict[str, SchemaMessagePair]:
    """Return the schemas with a message, by name."""
    return {
        name: SchemaMessagePair(name, schema, _find_message(contracts, name, schema["x-message"]))
        for name, schema in (contracts.schemas(API) if API in contracts.openapi else {}).items()
        if "x-message" in schema
    }


def _find_message(contracts: Contracts, name: str, message: str) -> Descriptor:
    try:
        return contracts.protos.pool.FindMessageTypeByName(message)
    except KeyError as error:
        raise ContractError(f"{API}.yaml: x-message of {name} is not a message: {message}") from error


def is_request_schema(pair: SchemaMessagePair) -> bool:
    """Return whether the schema belongs to requests, which have closed schemas."""
    return pair.schema.get("additionalProperties") is False


def page_responses(contracts: Contracts) -> frozenset[str]:
    """Return the names of response messages that are pages: they have a schema and a field `items`."""
    responses = {method.response for service in contracts.protos.services for method in service.methods}
    return frozenset(
        pair.message.full_name
        for pair in schema_message_pairs(contracts).values()
        if pair.message.full_name in responses and "items" in pair.message.fields_by_name
    )


def module_alias(package: str) -> str:
    """Convert delivery.orders.v1 to orders_v1."""
    return "_".join(package.split(".")[1:])


def generate(contracts: Contracts) -> Files:
    """Generate `rest/delivery/convert.py` and `rest/delivery/pages.py`."""
    pairs, pages = schema_message_pairs(contracts).values(), page_responses(contracts)
    page_messages = reachable_messages([pair.message for pair in pairs if pair.message.full_name in pages])
    object_messages = reachable_messages(
        [
            contracts.protos.pool.FindMessageTypeByName(method.response)
            for service in contracts.protos.services
            for method in service.methods
            if method.response not in pages
        ]
    )
    wire_pairs = [pair for pair in pairs if pair.message.full_name in page_messages]
    object_pairs = [
        pair
        for pair in pairs
        if is_request_schema(pair)
        or pair.message.full_name in object_messages
        or pair.message.full_name not in page_messages
    ]
    wire_module, object_module = ConverterModule(contracts, from_wire=True), ConverterModule(contracts)
    wire_text = wire_module.render_module(wire_pairs)
    # Both modules share the enum tables of convert.py.
    object_module.enums, object_module.packages = wire_module.enums, wire_module.packages
    return {"rest/delivery/convert.py": object_module.render_module(object_pairs), "rest/delivery/pages.py": wire_text}


def reachable_messages(messages: Iterable[Descriptor]) -> frozenset[str]:
    """Return the names of the messages and their nested messages."""

    @cache
    def nested(message: Descriptor) -> frozenset[str]:
        parts = (field.message_type for field in message.fields if field.message_type is not None)
        return frozenset({message.full_name}).union(*map(nested, parts))

    return frozenset[str]().union(*map(nested, messages))
