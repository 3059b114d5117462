"""Conversion functions of one message class, compiled from generated source."""

from collections.abc import Callable, Sequence
from functools import partial
from keyword import iskeyword
from typing import Any, NamedTuple

from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

type Converter = Callable[[Any], Any]


class FieldConverter(NamedTuple):
    """Converters of one field of a betterproto2 class; None where both sides have the same value."""

    attribute_name: str
    name: str
    has_presence: bool
    decode: Converter | None
    encode: Converter | None


def compile_decoder(cls: type, fields: Sequence[FieldConverter]) -> Converter:
    """Compile the function `C message → betterproto2 object`.

    It fills the object without its constructor, which would compute every default value only to be overwritten.
    """
    names: dict[str, Any] = {
        "cls": cls,
        "new_object": object.__new__,
        "UnknownFieldSet": UnknownFieldSet,
        "serialize_unknown_fields": _serialize_unknown_fields,
    }
    values = []
    for number, field in enumerate(fields):
        value = f"getattr(wire, {field.name!r})" if iskeyword(field.name) else f"wire.{field.name}"
        if field.decode:
            names[f"decode_{number}"] = field.decode
            value = f"decode_{number}({value})"
        if field.has_presence:
            value = f"{value} if wire.HasField({field.name!r}) else None"
        values.append(f"{field.attribute_name!r}: {value},")
    source = f"""
def decode(wire):
    unknown_fields = serialize_unknown_fields(wire) if len(UnknownFieldSet(wire)) else b''
    message = new_object(cls)
    message.__dict__ = {{{" ".join(values)} '_unknown_fields': unknown_fields}}
    return message
"""
    return _compile_functions(source, names)["decode"]


def compile_encoder(wire_class: type[Message], fields: Sequence[FieldConverter]) -> Converter:
    """Compile the function `betterproto2 object → arguments of the C message's constructor`.

    It returns the C message itself for an object with unknown fields.
    """
    names: dict[str, Any] = {"build_with_unknown_fields": partial(_build_with_unknown_fields, wire_class)}
    values = []
    for number, field in enumerate(fields):
        value = f"message.{field.attribute_name}"
        if field.encode:
            names[f"encode_{number}"] = field.encode
            value = f"None if {value} is None else encode_{number}({value})"
        values.append(f"{field.name!r}: {value},")
    source = f"""
def encode(message):
    values = {{{" ".join(values)}}}
    if message._unknown_fields:
        return build_with_unknown_fields(values, message._unknown_fields)
    return values
"""
    return _compile_functions(source, names)["encode"]


def _compile_functions(source: str, names: dict[str, Any]) -> dict[str, Converter]:
    """Compile generated source with one expression per field. A loop over the fields takes three times as long."""
    exec(source, names)  # noqa: S102 (the names are from the contract)
    return names


def _build_with_unknown_fields(wire_class: type[Message], values: dict[str, Any], unknown_fields: bytes) -> Message:
    """Return a C message with the values and the serialized unknown fields."""
    wire = wire_class(**values)
    wire.MergeFromString(unknown_fields)
    return wire


def _serialize_unknown_fields(wire: Message) -> bytes:
    """Return the unknown fields of a message in the wire format."""
    remainder = type(wire)()
    remainder.CopyFrom(wire)
    for field, _ in wire.ListFields():
        remainder.ClearField(field.name)
    return remainder.SerializeToString()
