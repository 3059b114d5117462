"""Converters between messages and REST models, for every schema that says by `x-message` which message it mirrors.

Fields pair up by name. What does not pair up is an error here, and so never a wrong answer there. `convert.py` is for
messages that handlers look into. Pages, which they only pass on, are long: `pages.py` reads them straight off the wire,
for an object per item would cost more than all the rest of a request.
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
"""Formats of which models have types of their own."""

TIMESTAMP = "google.protobuf.Timestamp"
HEADER = '"""Written by `make generate` from api-specs. Do not edit."""\n\nfrom msgspec import UNSET\n\n'
MESSAGE_IMPORTS = "from generated.rest.delivery import models\nfrom services.runtime.rest.types import require\n\n"
WIRE_IMPORTS = """from generated.rest.delivery import convert, models
from services.runtime.rpc.codec import Wire, parse_timestamp, require_field


"""


@dataclass(frozen=True)
class SchemaMessagePair:
    """A schema and the message that it mirrors."""

    name: str
    schema: dict[str, Any]
    message: Descriptor

    def mismatch_error(self, field: str, mismatch: str) -> ContractError:
        """The error that names both files."""
        return ContractError(
            f"{API}.yaml: {self.name}.{field} {mismatch} in {self.message.file.name} ({self.message.name})"
        )


class ConverterModule:
    """Writes one module: converters for some schemas, from message objects or `straight` off the wire."""

    def __init__(self, contracts: Contracts, *, from_wire: bool = False) -> None:
        self.contracts = contracts
        self.from_wire = from_wire
        self.pairs = schema_message_pairs(contracts)
        self.packages: set[str] = set()
        self.enums: dict[str, tuple[str, EnumDescriptor]] = {}

    def match_fields(self, pair: SchemaMessagePair) -> Iterator[tuple[str, dict[str, Any], FieldDescriptor, bool]]:
        """Name, schema, field and whether it is required, of each pair of fields; both sides must have the same."""
        named = {field.name: field for field in pair.message.fields}
        properties = pair.schema["properties"]
        for name in properties.keys() - named.keys():
            raise pair.mismatch_error(name, "has no field")
        for name in named.keys() - properties.keys():
            raise pair.mismatch_error(name, "is no property, but a field")
        for name, schema in properties.items():
            yield name, schema, named[name], name in pair.schema.get("required", ())

    def message_type(self, message: Descriptor) -> str:
        """How generated code says a message's class."""
        package = message.file.package
        self.packages.add(package)
        return f"{module_alias(package)}.{message.name}"

    def value_expression(
        self, pair: SchemaMessagePair, name: str, schema: dict[str, Any], field: FieldDescriptor, source: str
    ) -> str:
        """The expression that turns one field's value into the model's."""
        plain = self.contracts.resolve_reference(API, schema)
        if field.is_repeated:
            if plain.get("type") != "array":
                raise pair.mismatch_error(name, "is no array, but repeated")
            item = self.item_expression(pair, name, plain["items"], field, "item")
            return f"list({source})" if item == "item" else f"[{item} for item in {source}]"
        return self.item_expression(pair, name, schema, field, source)

    def item_expression(
        self, pair: SchemaMessagePair, name: str, schema: dict[str, Any], field: FieldDescriptor, source: str
    ) -> str:
        """The same for one item."""
        plain = self.contracts.resolve_reference(API, schema)
        if field.enum_type is not None:
            if "$ref" not in schema or "enum" not in plain:
                raise pair.mismatch_error(name, "is no enum with a name under components/schemas, but one")
            model = schema["$ref"].rsplit("/", 1)[1]
            prefix = snake(field.enum_type.name).upper() + "_"
            members = {v.name.removeprefix(prefix).lower() for v in field.enum_type.values if v.number}
            if members != set(plain["enum"]):
                raise pair.mismatch_error(name, f"has other values: {', '.join(sorted(members ^ set(plain['enum'])))}")
            self.enums[model] = (module_alias(field.enum_type.file.package), field.enum_type)
            self.packages.add(field.enum_type.file.package)
            table = f"{snake(model).upper()}[{source}]"
            return f"convert.{table}" if self.from_wire else table
        if field.message_type is not None:
            full = field.message_type.full_name
            if full == TIMESTAMP:
                if plain.get("format") != "date-time":
                    raise pair.mismatch_error(name, "is no date-time, but a Timestamp")
                return f"parse_timestamp({source})" if self.from_wire else source
            model = schema.get("$ref", "").rsplit("/", 1)[-1]
            if model not in self.pairs or self.pairs[model].message.full_name != full:
                raise pair.mismatch_error(name, f"does not mirror {full}, but the field is one")
            return f"{snake(model)}({source})"
        kind = plain.get("type")
        if not isinstance(kind, str) or field.type not in SCALAR_FIELD_TYPES.get(kind, ()):
            raise pair.mismatch_error(name, "has another type")
        if plain.get("format") in TYPED_FORMATS or "enum" in plain:
            raise pair.mismatch_error(name, "is more than text, but a string")
        return source

    def render_to_model(self, pair: SchemaMessagePair) -> str:
        """The function message → model."""
        lines = []
        for name, schema, field, required in self.match_fields(pair):
            source = f"message.{name}"
            absent = f'not message.HasField("{name}")' if self.from_wire else f"{source} is None"
            if field.is_repeated:
                lines.append(f"{name}={self.value_expression(pair, name, schema, field, source)}")
                continue
            optional = field.has_presence and not required
            if not required and not field.has_presence:
                raise pair.mismatch_error(name, "is not required, but has no `optional`")
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
        """The function model → message, for closed schemas, which requests bring."""
        lines = []
        for name, _, field, required in self.match_fields(pair):
            if field.type in (FieldDescriptor.TYPE_MESSAGE, FieldDescriptor.TYPE_ENUM) or field.is_repeated:
                raise pair.mismatch_error(name, "is not a plain value, which requests are not converted with")
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
        """The whole module."""
        functions = "".join(
            self.render_to_model(pair)
            + (self.render_to_message(pair) if not self.from_wire and is_request_schema(pair) else "")
            for pair in selected
        )
        imports = "".join(
            f"from generated.proto.{package.rpartition('.')[0]} import {package.rpartition('.')[2]} as {module_alias(package)}\n"
            for package in sorted(self.packages)
        )
        return (
            HEADER
            + (WIRE_IMPORTS if self.from_wire else f"{imports}{MESSAGE_IMPORTS}{self.render_enum_tables()}")
            + functions
        )

    def render_enum_tables(self) -> str:
        """The words of each enum."""
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
    """Every schema that mirrors a message, by name."""
    return {
        name: SchemaMessagePair(name, schema, _find_message(contracts, name, schema["x-message"]))
        for name, schema in (contracts.schemas(API) if API in contracts.openapi else {}).items()
        if "x-message" in schema
    }


def _find_message(contracts: Contracts, name: str, message: str) -> Descriptor:
    try:
        return contracts.protos.pool.FindMessageTypeByName(message)
    except KeyError as error:
        raise ContractError(f"{API}.yaml: {name} mirrors {message}, which is no message") from error


def is_request_schema(pair: SchemaMessagePair) -> bool:
    """Whether requests bring it: their schemas are closed."""
    return pair.schema.get("additionalProperties") is False


def page_responses(contracts: Contracts) -> frozenset[str]:
    """The responses that are a page, by the name of the message: a schema mirrors them, and they have `items`."""
    answers = {method.response for service in contracts.protos.services for method in service.methods}
    return frozenset(
        pair.message.full_name
        for pair in schema_message_pairs(contracts).values()
        if pair.message.full_name in answers and "items" in pair.message.fields_by_name
    )


def module_alias(package: str) -> str:
    """delivery.orders.v1 → orders_v1."""
    return "_".join(package.split(".")[1:])


def generate(contracts: Contracts) -> Files:
    """`generated/rest/delivery/convert.py`, and `pages.py`."""
    all_of, paged = schema_message_pairs(contracts).values(), page_responses(contracts)
    roots = [pair.message for pair in all_of if pair.message.full_name in paged]
    answers = [
        contracts.protos.pool.FindMessageTypeByName(method.response)
        for service in contracts.protos.services
        for method in service.methods
        if method.response not in paged
    ]
    on_pages, looked_into = reachable_messages(roots), reachable_messages(answers)
    straight = [pair for pair in all_of if pair.message.full_name in on_pages]
    plain = [
        pair
        for pair in all_of
        if is_request_schema(pair) or pair.message.full_name in looked_into or pair.message.full_name not in on_pages
    ]
    reader, converter = ConverterModule(contracts, from_wire=True), ConverterModule(contracts)
    text = reader.render_module(straight)
    converter.enums, converter.packages = reader.enums, reader.packages
    return {"rest/delivery/convert.py": converter.render_module(plain), "rest/delivery/pages.py": text}


def reachable_messages(messages: Iterable[Descriptor]) -> frozenset[str]:
    """The messages and all that they are made of, by name."""

    @cache
    def inside(message: Descriptor) -> frozenset[str]:
        parts = (field.message_type for field in message.fields if field.message_type is not None)
        return frozenset({message.full_name}).union(*map(inside, parts))

    return frozenset[str]().union(*map(inside, messages))
