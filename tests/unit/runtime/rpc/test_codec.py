import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import betterproto2
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import generated.proto.delivery.events.v1
import generated.proto.delivery.notifications.v1
import generated.proto.delivery.orders.v1
import generated.proto.delivery.partners.v1  # noqa: F401
from generated.proto.message_pool import default_message_pool
from services.runtime.rpc.codec import Codec, DecodeError, get_codec
from services.runtime.rpc.contract_descriptors import get_descriptor_pool
from tests import sample

sample.install()
from generated.proto.sample.v1 import AllFields, AllFieldsInner, AllFieldsKind, Mood, NewerAllFields, NewerInner  # noqa: E402

MESSAGES = sorted(
    url.partition("/")[2] for url in default_message_pool.url_to_type if not url.partition("/")[2].startswith("google.")
)
VALUES_BY_TYPE = {
    FieldDescriptor.TYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_SINT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_SFIXED32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_SINT64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_SFIXED64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT32: st.integers(0, 2**32 - 1),
    FieldDescriptor.TYPE_FIXED32: st.integers(0, 2**32 - 1),
    FieldDescriptor.TYPE_UINT64: st.integers(0, 2**64 - 1),
    FieldDescriptor.TYPE_FIXED64: st.integers(0, 2**64 - 1),
    FieldDescriptor.TYPE_ENUM: st.integers(-3, 12),
    FieldDescriptor.TYPE_FLOAT: st.floats(width=32, allow_nan=False),
    FieldDescriptor.TYPE_DOUBLE: st.floats(allow_nan=False),
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_STRING: st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    FieldDescriptor.TYPE_BYTES: st.binary(max_size=5),
}
TIMESTAMPS = st.datetimes(timezones=st.just(UTC))
DURATIONS = st.timedeltas(timedelta(days=-3_650_000), timedelta(days=3_650_000))


@cache
def field_values(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any]:
    """Return a strategy of values of a field. Cached, as Hypothesis validates every new strategy."""
    if field.message_type is None:
        return VALUES_BY_TYPE[field.type]
    if field.message_type.full_name == "google.protobuf.Timestamp":
        return TIMESTAMPS.map(lambda at: build_wire(field.message_type, lambda wire: wire.FromDatetime(at)))
    if field.message_type.full_name == "google.protobuf.Duration":
        return DURATIONS.map(lambda span: build_wire(field.message_type, lambda wire: wire.FromTimedelta(span)))
    return wire_messages(field.message_type, depth - 1)


@cache
def repeated_values(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any]:
    """Return a strategy of values of a repeated field: a list or the entries of a map."""
    if field.message_type and field.message_type.GetOptions().map_entry:
        key, value = (field.message_type.fields_by_name[part] for part in ("key", "value"))
        return st.dictionaries(field_values(key, 0), field_values(value, depth), max_size=2)
    return st.lists(field_values(field, depth), max_size=2)


@cache
def field_sets(descriptor: Descriptor, depth: int) -> st.SearchStrategy[list[FieldDescriptor]]:
    """Return a strategy of the fields to set, without message fields at the maximum depth."""
    fields = [field for field in descriptor.fields if depth or not field.message_type]
    return st.lists(st.sampled_from(fields), unique=True, max_size=8) if fields else st.just([])


def build_wire(descriptor: Descriptor, fill: Callable[[Any], None]) -> Message:
    wire = GetMessageClass(descriptor)()
    fill(wire)
    return wire


@st.composite
def wire_messages(draw: st.DrawFn, descriptor: Descriptor, depth: int = 2) -> Message:
    """Draw a C message with some of its fields set, at most three levels deep."""
    wire: Any = GetMessageClass(descriptor)()
    for field in draw(field_sets(descriptor, depth)):
        if field.is_repeated:
            items = draw(repeated_values(field, depth))
            if not isinstance(items, dict):
                getattr(wire, field.name).extend(items)
                continue
            for name, item in items.items():
                if isinstance(item, Message):
                    getattr(wire, field.name)[name].CopyFrom(item)
                else:
                    getattr(wire, field.name)[name] = item
        elif field.message_type:
            getattr(wire, field.name).CopyFrom(draw(field_values(field, depth)))
            getattr(wire, field.name).SetInParent()
        else:
            setattr(wire, field.name, draw(field_values(field, depth)))
    return wire


@pytest.mark.parametrize("name", MESSAGES)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_google_wire_message_round_trip(name: str, data: st.DataObject) -> None:
    descriptor = get_descriptor_pool().FindMessageTypeByName(name)
    wire = data.draw(wire_messages(descriptor))
    cls = default_message_pool.url_to_type[f"type.googleapis.com/{name}"]

    message = get_codec().decode(cls, wire.SerializeToString())

    assert GetMessageClass(descriptor).FromString(get_codec().encode(message)) == wire


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=40))
def test_decode_arbitrary_bytes_succeeds_or_raises_decode_error(data: bytes) -> None:
    try:
        message = get_codec().decode(AllFields, data)
    except DecodeError:
        return
    assert get_codec().decode(AllFields, get_codec().encode(message)) == message


def test_decoded_values_have_betterproto_types() -> None:
    inner = AllFieldsInner(from_="here", parent=AllFields(text="deep"))
    message = AllFields(
        i64=-1,
        mood=Mood.BAD,
        inner=inner,
        at=datetime(1969, 12, 31, 23, 59, 59, 250_000, UTC),
        duration=timedelta(seconds=-1.5),
        maybe_i32=0,
        maybe_text="",
        maybe_mood=Mood.UNSPECIFIED,
        as_inner=AllFieldsInner(),
        moods=[Mood.GOOD, Mood.BAD],
        inners=[inner, AllFieldsInner()],
        times=[datetime(9999, 12, 31, tzinfo=UTC)],
        spans=[timedelta(microseconds=-1)],
        counts={"a": 0},
        mood_by_id={-1: Mood.GOOD},
        inner_by_flag={True: inner},
        time_by_name={"new year": datetime(2027, 1, 1, tzinfo=UTC)},
        class_="keyword",
        none=False,
    )

    decoded = get_codec().decode(AllFields, get_codec().encode(message))

    assert decoded == message
    assert decoded.as_text is None
    assert decoded.maybe_data is None
    assert isinstance(decoded.moods[0], Mood)
    assert isinstance(decoded.mood_by_id[-1], Mood)
    assert (decoded.inner.from_, decoded.inner.parent.text) == ("here", "deep")


def test_unset_message_field_is_none_and_empty_one_is_not() -> None:
    assert (
        get_codec().decode(AllFields, get_codec().encode(AllFields(inner=AllFieldsInner()))).inner == AllFieldsInner()
    )
    assert get_codec().decode(AllFields, b"").inner is None


def test_unknown_enum_number_round_trip() -> None:
    decoded = get_codec().decode(AllFields, get_codec().encode(AllFields(as_kind=AllFieldsKind(7), moods=[Mood(99)])))

    assert (decoded.as_kind, decoded.moods) == (7, [99])
    assert decoded.moods[0].name == ""


def test_unknown_fields_round_trip_at_every_level() -> None:
    newer = NewerAllFields(text="known", inner=NewerInner(from_="here", added=7), added=["a", "b"])

    older = get_codec().decode(AllFields, get_codec().encode(newer))
    older.text = "changed"

    assert get_codec().decode(NewerAllFields, get_codec().encode(older)) == NewerAllFields(
        text="changed", inner=NewerInner(from_="here", added=7), added=["a", "b"]
    )


def test_decode_truncated_bytes_raises_decode_error() -> None:
    data = get_codec().encode(AllFields(text="a longer text"))

    with pytest.raises(DecodeError):
        get_codec().decode(AllFields, data[:-1])


def test_decode_timestamp_beyond_datetime_raises_decode_error() -> None:
    wire: Any = GetMessageClass(get_descriptor_pool().FindMessageTypeByName("sample.v1.AllFields"))()
    wire.at.seconds = 253_402_300_800  # the year 10000

    with pytest.raises(DecodeError, match="out of range"):
        get_codec().decode(AllFields, wire.SerializeToString())


def test_encode_datetime_without_time_zone_raises_value_error() -> None:
    with pytest.raises(ValueError, match="time zone"):
        get_codec().encode(AllFields(at=datetime(2026, 1, 1)))


def test_extend_sets_fields_of_encoded_message() -> None:
    encoded = get_codec().encode(AllFields(i32=1, text="first"))
    extended = get_codec().extend(encoded, AllFields(text="second", u32=2))
    assert get_codec().decode(AllFields, extended.data) == AllFields(i32=1, text="second", u32=2)
    assert get_codec().extend(encoded, AllFields()).data == encoded
    assert get_codec().extend(encoded, None).data == encoded


@pytest.mark.parametrize("fields", [{"i32": 2**31}, {"u32": -1}, {"text": 1}, {"mood": "GOOD"}])
def test_encode_value_that_does_not_fit_raises(fields: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        get_codec().encode(AllFields(**fields))


def test_float32_and_negative_zero_round_trip() -> None:
    single = struct.unpack("f", struct.pack("f", 0.1))[0]

    decoded = get_codec().decode(AllFields, get_codec().encode(AllFields(single=single, double_value=-0.0)))

    assert decoded.single == single
    assert str(decoded.double_value) == "-0.0"


def test_wrapper_types_are_optional_values(tmp_path: Path) -> None:
    protos = sample.compile_protos(tmp_path, "wrapped/v1/wrapped.proto")
    sample.write_package(protos, tmp_path / "wrapped_messages")
    module = sample.import_package(tmp_path / "wrapped_messages", "wrapped_messages.sample.wrapped.v1")
    pool = sample.import_package(tmp_path / "wrapped_messages", "wrapped_messages.message_pool").default_message_pool
    codec = Codec(protos.pool, pool)
    message = module.Wrapped(flag=False, i64=-5, text="", texts=["", "b"], u64=2**64 - 1)

    decoded = codec.decode(module.Wrapped, codec.encode(message))

    assert decoded == message
    assert (decoded.flag, decoded.text, decoded.data) == (False, "", None)


def test_message_without_generated_class_is_named_in_error() -> None:
    incomplete_pool = betterproto2.MessagePool()  # type: ignore[no-untyped-call]
    incomplete_pool.register_message("sample.v1", "AllFields", AllFields)

    with pytest.raises(TypeError, match="no class is generated for sample"):
        Codec(get_descriptor_pool(), incomplete_pool).decode(AllFields, b"")
