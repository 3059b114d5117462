"""Converters between messages and REST models, for every schema that says by `x-message` which message it mirrors.

Fields pair up by name. What does not pair up is an error here, and so never a wrong answer there.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from codegen.contracts import ContractError, Contracts, Files
from codegen.naming import snake

API = "delivery"
INTEGERS = frozenset(
    {FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_UINT64}
)
SCALARS = {
    "integer": INTEGERS,
    "number": frozenset({FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT}),
    "boolean": frozenset({FieldDescriptor.TYPE_BOOL}),
    "string": frozenset({FieldDescriptor.TYPE_STRING}),
}
NO_TEXT = frozenset({"date-time", "date", "time", "duration", "uuid", "byte", "binary"})
"""Formats of which models have types of their own."""

TIMESTAMP = "google.protobuf.Timestamp"


@dataclass(frozen=True)
class Pair:
    """A schema and the message that it mirrors."""

    name: str
    schema: dict[str, Any]
    message: Descriptor

    def fail(self, field: str, why: str) -> ContractError:
        """The error that names both files."""
        return ContractError(f"{API}.yaml: {self.name}.{field} {why} in {self.message.file.name} ({self.message.name})")


class Converters:
    """Writes `convert.py`."""

    def __init__(self, contracts: Contracts) -> None:
        self.contracts = contracts
        self.pairs = {
            name: Pair(name, schema, self.mirrored(name, schema["x-message"]))
            for name, schema in contracts.schemas(API).items()
            if "x-message" in schema
        }
        self.packages: set[str] = set()
        self.enums: dict[str, tuple[str, EnumDescriptor]] = {}

    def mirrored(self, name: str, message: str) -> Descriptor:
        """The message that a schema mirrors."""
        try:
            return self.contracts.protos.pool.FindMessageTypeByName(message)
        except KeyError as error:
            raise ContractError(f"{API}.yaml: {name} mirrors {message}, which is no message") from error

    def fields(self, pair: Pair) -> Iterator[tuple[str, dict[str, Any], FieldDescriptor, bool]]:
        """Name, schema, field and whether it is required, of each pair of fields; both sides must have the same."""
        named = {field.name: field for field in pair.message.fields}
        properties = pair.schema["properties"]
        for name in properties.keys() - named.keys():
            raise pair.fail(name, "has no field")
        for name in named.keys() - properties.keys():
            raise pair.fail(name, "is no property, but a field")
        for name, schema in properties.items():
            yield name, schema, named[name], name in pair.schema.get("required", ())

    def message_type(self, message: Descriptor) -> str:
        """How generated code says a message's class."""
        package = message.file.package
        self.packages.add(package)
        return f"{alias(package)}.{message.name}"

    def value(self, pair: Pair, name: str, schema: dict[str, Any], field: FieldDescriptor, source: str) -> str:
        """The expression that turns one field's value into the model's."""
        plain = self.contracts.deref(API, schema)
        if field.is_repeated:
            if plain.get("type") != "array":
                raise pair.fail(name, "is no array, but repeated")
            item = self.single(pair, name, plain["items"], field, "item")
            return f"list({source})" if item == "item" else f"[{item} for item in {source}]"
        return self.single(pair, name, schema, field, source)

    def single(self, pair: Pair, name: str, schema: dict[str, Any], field: FieldDescriptor, source: str) -> str:
        """The same for one item."""
        plain = self.contracts.deref(API, schema)
        if field.enum_type is not None:
            if "$ref" not in schema or "enum" not in plain:
                raise pair.fail(name, "is no enum with a name under components/schemas, but one")
            model = schema["$ref"].rsplit("/", 1)[1]
            prefix = snake(field.enum_type.name).upper() + "_"
            members = {v.name.removeprefix(prefix).lower() for v in field.enum_type.values if v.number}
            if members != set(plain["enum"]):
                raise pair.fail(name, f"has other values: {', '.join(sorted(members ^ set(plain['enum'])))}")
            self.enums[model] = (alias(field.enum_type.file.package), field.enum_type)
            self.packages.add(field.enum_type.file.package)
            return f"{snake(model).upper()}[{source}]"
        if field.message_type is not None:
            full = field.message_type.full_name
            if full == TIMESTAMP:
                if plain.get("format") != "date-time":
                    raise pair.fail(name, "is no date-time, but a Timestamp")
                return source
            model = schema.get("$ref", "").rsplit("/", 1)[-1]
            if model not in self.pairs or self.pairs[model].message.full_name != full:
                raise pair.fail(name, f"does not mirror {full}, but the field is one")
            return f"{snake(model)}({source})"
        kind = plain.get("type")
        if not isinstance(kind, str) or field.type not in SCALARS.get(kind, ()):
            raise pair.fail(name, "has another type")
        if plain.get("format") in NO_TEXT or "enum" in plain:
            raise pair.fail(name, "is more than text, but a string")
        return source

    def to_model(self, pair: Pair) -> str:
        """The function message → model."""
        lines = []
        for name, schema, field, required in self.fields(pair):
            source = f"message.{name}"
            if field.is_repeated:
                lines.append(f"{name}={self.value(pair, name, schema, field, source)}")
                continue
            optional = field.has_presence and not required
            if not required and not field.has_presence:
                raise pair.fail(name, "is not required, but has no `optional`")
            if field.type == FieldDescriptor.TYPE_MESSAGE and required:
                source = f"there({source})"
            value = self.value(pair, name, schema, field, source)
            lines.append(f"{name}=UNSET if {source} is None else {value}" if optional else f"{name}={value}")
        body = ",\n        ".join(lines)
        return (
            f"def {snake(pair.name)}(message: {self.message_type(pair.message)}) -> models.{pair.name}:\n"
            f'    """{pair.message.full_name} → {pair.name}."""\n'
            f"    return models.{pair.name}(\n        {body},\n    )\n\n\n"
        )

    def to_message(self, pair: Pair) -> str:
        """The function model → message, for closed schemas, which requests bring."""
        lines = []
        for name, _, field, required in self.fields(pair):
            if field.type in (FieldDescriptor.TYPE_MESSAGE, FieldDescriptor.TYPE_ENUM) or field.is_repeated:
                raise pair.fail(name, "is not a plain value, which requests are not converted with")
            source = f"model.{name}"
            lines.append(f"{name}={source}" if required else f"{name}=None if {source} is UNSET else {source}")
        body = ",\n        ".join(lines)
        kind = self.message_type(pair.message)
        return (
            f"def to_{snake(pair.name)}(model: models.{pair.name}) -> {kind}:\n"
            f'    """{pair.name} → {pair.message.full_name}."""\n'
            f"    return {kind}(\n        {body},\n    )\n\n\n"
        )

    def text(self) -> str:
        """The whole module."""
        functions = "".join(
            self.to_model(pair) + (self.to_message(pair) if pair.schema.get("additionalProperties") is False else "")
            for pair in self.pairs.values()
        )
        tables = "".join(
            f"{snake(model).upper()} = {{\n"
            + "".join(
                f"    {package}.{enum.name}.{member}: models.{model}.{member.lower()},\n"
                for member in (v.name.removeprefix(snake(enum.name).upper() + "_") for v in enum.values if v.number)
            )
            + "}\n\n"
            for model, (package, enum) in sorted(self.enums.items())
        )
        imports = "".join(
            f"from generated.proto.{package.rpartition('.')[0]} import {package.rpartition('.')[2]} as {alias(package)}\n"
            for package in sorted(self.packages)
        )
        return (
            '"""Written by `make generate` from api-specs. Do not edit."""\n\n'
            f"from msgspec import UNSET\n\n{imports}from generated.rest.delivery import models\n"
            f"from services.runtime.rest.types import there\n\n{tables}\n{functions}"
        )


def alias(package: str) -> str:
    """delivery.orders.v1 → orders_v1."""
    return "_".join(package.split(".")[1:])


def generate(contracts: Contracts) -> Files:
    """`generated/rest/delivery/convert.py`."""
    return {"rest/delivery/convert.py": Converters(contracts).text()}
