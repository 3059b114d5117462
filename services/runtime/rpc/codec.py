"""Codec between betterproto2 objects and the wire format, based on protobuf's C implementation ("upb").

betterproto2's own codec is written in Python. It is hundreds of times slower on lists and accepts truncated bytes. This
codec compiles a pair of functions once per message class. `decode` reads all fields of the C message in one call and
converts only those that need it. `encode` passes nested dicts to the constructor of the C message.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple

import betterproto2
from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from generated.proto.message_pool import default_message_pool
from services.runtime.rpc.compiled_converters import Converter, FieldConverter, compile_decoder, compile_encoder
from services.runtime.rpc.contract_descriptors import get_descriptor_pool

__all__ = (
    "Codec",
    "DecodeError",
    "PreEncoded",
    "Wire",
    "get_codec",
    "parse_timestamp",
    "require_field",
)

type Wire = Any
"""Message of protobuf's C implementation. Type checkers do not know its fields."""

WRAPPER_TYPES = frozenset(
    f"google.protobuf.{name}Value"
    for name in ("Bool", "Bytes", "Double", "Float", "Int32", "Int64", "String", "UInt32", "UInt64")
)
DICT_TYPES = frozenset({"google.protobuf.Struct", "google.protobuf.ListValue"})
"""Types for which the constructor of a C message takes a dict or a list as the content instead of the fields."""

URL_PREFIX = "type.googleapis.com/"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class MessageConverters(NamedTuple):
    """C message class of one betterproto2 class, and the converters between the two."""

    wire_class: type[Message]
    decode: Converter
    encode: Converter


@dataclass(frozen=True, slots=True, repr=False)
class PreEncoded[M: betterproto2.Message]:
    """Response in the wire format, with the unsigned page token that it contains."""

    data: bytes
    next_page_token: str | None = None


class Codec:
    """Converters between the message classes of one betterproto2 pool and their descriptors.

    Unknown fields are preserved and encoded again.
    """

    def __init__(self, pool: DescriptorPool, classes: betterproto2.MessagePool) -> None:
        self._pool = pool
        self._classes = classes
        self._decoders: dict[str, Converter] = {}
        self._encoders: dict[str, Converter] = {}
        self._converters_by_class: dict[type[betterproto2.Message], MessageConverters] = {}

    def encode(self, message: betterproto2.Message) -> bytes:
        """Return the message in the wire format.

        Raises TypeError or ValueError when a value does not fit its field.
        """
        cls = type(message)
        converters = self._converters_by_class.get(cls) or self._build_converters(cls)
        encoded = converters.encode(message)
        wire: Message = encoded if isinstance(encoded, Message) else converters.wire_class(**encoded)
        return wire.SerializeToString()

    def encode_fields[M: betterproto2.Message](self, cls: type[M], **fields: Any) -> PreEncoded[M]:
        """Return a message in the wire format, built from field values and nested dicts; faster for large responses.

        Raises TypeError or ValueError when a value does not fit its field.
        """
        converters = self._converters_by_class.get(cls) or self._build_converters(cls)
        return PreEncoded(converters.wire_class(**fields).SerializeToString(), fields.get("next_page_token"))

    def extend[M: betterproto2.Message](self, data: bytes, message: M | None) -> PreEncoded[M]:
        """Return an encoded message with the fields that `message`, of the same class, sets; None sets no field.

        Concatenated messages are merged by protobuf: https://protobuf.dev/programming-guides/encoding/#last-one-wins.
        """
        return PreEncoded(data if message is None else data + self.encode(message))

    def decode[M: betterproto2.Message](self, cls: type[M], data: bytes) -> M:
        """Decode a message.

        Raises DecodeError when `data` is malformed or contains a time that datetime cannot represent.
        """
        return self.decode_with(cls, data, self.make_reader(cls))

    def make_reader[M: betterproto2.Message](self, cls: type[M]) -> Callable[[Wire], M]:
        """Return the function that converts a C message to a message of the class."""
        return (self._converters_by_class.get(cls) or self._build_converters(cls)).decode

    def decode_with[Read](self, cls: type[betterproto2.Message], data: bytes, reader: Callable[[Wire], Read]) -> Read:
        """Decode a C message and return the result of `reader`.

        Raises DecodeError when `data` is malformed or `reader` raises OverflowError or ValueError.
        """
        converters = self._converters_by_class.get(cls) or self._build_converters(cls)
        wire = converters.wire_class.FromString(data)
        try:
            return reader(wire)
        except (OverflowError, ValueError) as error:
            raise DecodeError(f"{cls.__name__}: {error}") from error

    def _build_converters(self, cls: type[betterproto2.Message]) -> MessageConverters:
        name = self._classes.type_to_url[cls].removeprefix(URL_PREFIX)
        converters = MessageConverters(self._get_wire_class(name), self._get_decoder(name), self._get_encoder(name))
        self._converters_by_class[cls] = converters
        return converters

    def _get_message_class(self, name: str) -> Any:
        return self._classes.url_to_type[URL_PREFIX + name]

    def _get_wire_class(self, name: str) -> type[Message]:
        return GetMessageClass(self._pool.FindMessageTypeByName(name))

    def _get_decoder(self, name: str) -> Converter:
        if name not in self._decoders:

            def decode_late(wire: Message) -> betterproto2.Message:
                """Placeholder while the decoder is compiled, for recursive messages."""
                message: betterproto2.Message = self._decoders[name](wire)
                return message

            self._decoders[name] = decode_late
            self._decoders[name] = compile_decoder(self._get_message_class(name), list(self._describe_fields(name)))
        return self._decoders[name]

    def _get_encoder(self, name: str) -> Converter:
        if name not in self._encoders:

            def encode_late(message: betterproto2.Message) -> Any:
                """Placeholder while the encoder is compiled, for recursive messages."""
                return self._encoders[name](message)

            self._encoders[name] = encode_late
            self._encoders[name] = compile_encoder(self._get_wire_class(name), list(self._describe_fields(name)))
        return self._encoders[name]

    def _get_wire_encoder(self, name: str) -> Converter:
        """Return the encoder to the C message itself."""
        wire_class, encode = self._get_wire_class(name), self._get_encoder(name)

        def encode_wire(message: betterproto2.Message) -> Message:
            encoded = encode(message)
            return encoded if isinstance(encoded, Message) else wire_class(**encoded)

        return encode_wire

    def _describe_fields(self, name: str) -> Iterator[FieldConverter]:
        descriptor = self._pool.FindMessageTypeByName(name)
        metadata = self._get_message_class(name)._betterproto
        for field in descriptor.fields:
            attribute = metadata.field_name_by_number[field.number]
            decode, encode = self._get_field_converters(field, metadata.cls_by_field, attribute)
            yield FieldConverter(attribute, field.name, field.has_presence, decode, encode)

    def _get_field_converters(
        self, field: FieldDescriptor, classes: Mapping[str, type], attribute: str
    ) -> tuple[Converter | None, Converter | None]:
        """Return the converters of a whole field: a single value, a list or a map."""
        message = field.message_type
        if message and message.GetOptions().map_entry:
            decode, encode = self._get_value_converters(message.fields_by_name["value"], classes[f"{attribute}.value"])
            return _make_map_converter(decode) or dict, _make_map_converter(encode)
        decode, encode = self._get_value_converters(field, classes[attribute])
        if field.is_repeated:
            return _make_list_converter(decode) or list, _make_list_converter(encode)
        return decode, encode

    def _get_value_converters(self, field: FieldDescriptor, cls: type) -> tuple[Converter | None, Converter | None]:
        """Return the converters of one value. Enums need no encoder, as an IntEnum is an integer."""
        if field.enum_type:
            return _EnumMembers(cls, field.enum_type).__getitem__, None
        if not field.message_type:
            return None, None
        match field.message_type.full_name:
            case "google.protobuf.Timestamp":
                return parse_timestamp, _to_timestamp
            case "google.protobuf.Duration":
                return _from_duration, _to_duration
            case name if name in WRAPPER_TYPES:
                return attrgetter("value"), lambda value: {"value": value}
            case name if name in DICT_TYPES:
                return self._get_decoder(name), self._get_wire_encoder(name)
            case name if URL_PREFIX + name in self._classes.url_to_type:
                return self._get_decoder(name), self._get_encoder(name)
            case name:
                raise TypeError(f"{field.full_name}: no class is generated for {name}")


def _make_list_converter(convert: Converter | None) -> Converter | None:
    return convert and (lambda values: [convert(value) for value in values])


def _make_map_converter(convert: Converter | None) -> Converter | None:
    return convert and (lambda values: {key: convert(value) for key, value in values.items()})


class _EnumMembers(dict[int, Any]):
    """Enum members by number, as calling the class is ten times slower. Unknown numbers become members."""

    def __init__(self, cls: type, descriptor: EnumDescriptor) -> None:
        super().__init__((value.number, cls(value.number)) for value in descriptor.values)
        self._cls = cls

    def __missing__(self, number: int) -> Any:
        return self._cls(number)


def parse_timestamp(wire: Wire) -> datetime:
    """Convert a Timestamp.

    Raises OverflowError when datetime cannot represent it.
    """
    return EPOCH + timedelta(0, wire.seconds, wire.nanos // 1000)


def require_field(wire: Wire, name: str) -> Wire:
    """Return a message field that the contract requires.

    Raises ValueError when the other service has not set it.
    """
    if not wire.HasField(name):
        raise ValueError(f"message lacks required field {name}")
    return getattr(wire, name)


def _to_timestamp(value: datetime) -> dict[str, int]:
    if value.tzinfo is None:
        raise ValueError("datetime without a time zone cannot be encoded")
    seconds, microseconds = divmod((value - EPOCH) // MICROSECOND, 1_000_000)
    return {"seconds": seconds, "nanos": microseconds * 1000}


def _from_duration(wire: Any) -> timedelta:
    return timedelta(0, wire.seconds, int(wire.nanos / 1000))


def _to_duration(value: timedelta) -> dict[str, int]:
    """Convert a timedelta. Seconds and nanoseconds have the same sign, as the format requires."""
    sign = -1 if value < timedelta(0) else 1
    seconds, microseconds = divmod(abs(value) // MICROSECOND, 1_000_000)
    return {"seconds": sign * seconds, "nanos": sign * microseconds * 1000}


@cache
def get_codec() -> Codec:
    """Return the codec of the contract's messages."""
    return Codec(get_descriptor_pool(), default_message_pool)
