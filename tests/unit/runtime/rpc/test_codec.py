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
from services.runtime.rpc.codec import Codec, DecodeError, get_codec, get_descriptor_pool
from tests import sample

sample.installed()
from generated.proto.sample.v1 import Everything, EverythingInner, EverythingKind, Mood, Newer, NewerInner  # noqa: E402

MESSAGES = sorted(
    url.partition("/")[2] for url in default_message_pool.url_to_type if not url.partition("/")[2].startswith("google.")
)
NUMBERS = {
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
TIMES = st.datetimes(timezones=st.just(UTC))
SPANS = st.timedeltas(timedelta(days=-3_650_000), timedelta(days=3_650_000))


@cache
def values(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any]:
    """What may stand in a field. Cached, as hypothesis looks through every strategy that is new to it."""
    if field.message_type is None:
        return NUMBERS[field.type]
    if field.message_type.full_name == "google.protobuf.Timestamp":
        return TIMES.map(lambda at: make(field.message_type, lambda wire: wire.FromDatetime(at)))
    if field.message_type.full_name == "google.protobuf.Duration":
        return SPANS.map(lambda span: make(field.message_type, lambda wire: wire.FromTimedelta(span)))
    return wires(field.message_type, depth - 1)


@cache
def many(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any]:
    """What may stand in a repeated field: a list, or the entries of a map."""
    if field.message_type and field.message_type.GetOptions().map_entry:
        key, value = (field.message_type.fields_by_name[part] for part in ("key", "value"))
        return st.dictionaries(values(key, 0), values(value, depth), max_size=2)
    return st.lists(values(field, depth), max_size=2)


@cache
def some(descriptor: Descriptor, depth: int) -> st.SearchStrategy[list[FieldDescriptor]]:
    """Which fields are set; none that holds a message where it would be too deep."""
    fields = [field for field in descriptor.fields if depth or not field.message_type]
    return st.lists(st.sampled_from(fields), unique=True, max_size=8) if fields else st.just([])


def make(descriptor: Descriptor, fill: Callable[[Any], None]) -> Message:
    wire = GetMessageClass(descriptor)()
    fill(wire)
    return wire


@st.composite
def wires(draw: st.DrawFn, descriptor: Descriptor, depth: int = 2) -> Message:
    """A C message with some of its fields set, three levels deep at most."""
    wire: Any = GetMessageClass(descriptor)()
    for field in draw(some(descriptor, depth)):
        if field.is_repeated:
            items = draw(many(field, depth))
            if not isinstance(items, dict):
                getattr(wire, field.name).extend(items)
                continue
            for name, item in items.items():
                if isinstance(item, Message):
                    getattr(wire, field.name)[name].CopyFrom(item)
                else:
                    getattr(wire, field.name)[name] = item
        elif field.message_type:
            getattr(wire, field.name).CopyFrom(draw(values(field, depth)))
            getattr(wire, field.name).SetInParent()
        else:
            setattr(wire, field.name, draw(values(field, depth)))
    return wire


@pytest.mark.parametrize("name", MESSAGES)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_what_google_writes_comes_back_the_same(name: str, data: st.DataObject) -> None:
    descriptor = get_descriptor_pool().FindMessageTypeByName(name)
    wire = data.draw(wires(descriptor))
    cls = default_message_pool.url_to_type[f"type.googleapis.com/{name}"]

    message = get_codec().decode(cls, wire.SerializeToString())

    assert GetMessageClass(descriptor).FromString(get_codec().encode(message)) == wire


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=40))
def test_any_bytes_decode_or_raise_decode_error(data: bytes) -> None:
    try:
        message = get_codec().decode(Everything, data)
    except DecodeError:
        return
    assert get_codec().decode(Everything, get_codec().encode(message)) == message


def test_values_are_what_betterproto_promises() -> None:
    inner = EverythingInner(from_="here", again=Everything(text="deep"))
    message = Everything(
        i64=-1,
        mood=Mood.BAD,
        inner=inner,
        at=datetime(1969, 12, 31, 23, 59, 59, 250_000, UTC),
        lasts=timedelta(seconds=-1.5),
        maybe_i32=0,
        maybe_text="",
        maybe_mood=Mood.UNSPECIFIED,
        as_inner=EverythingInner(),
        moods=[Mood.GOOD, Mood.BAD],
        inners=[inner, EverythingInner()],
        times=[datetime(9999, 12, 31, tzinfo=UTC)],
        spans=[timedelta(microseconds=-1)],
        counts={"a": 0},
        mood_by_id={-1: Mood.GOOD},
        inner_by_flag={True: inner},
        time_by_name={"new year": datetime(2027, 1, 1, tzinfo=UTC)},
        class_="keyword",
        none=False,
    )

    back = get_codec().decode(Everything, get_codec().encode(message))

    assert back == message
    assert back.as_text is None
    assert back.maybe_data is None
    assert isinstance(back.moods[0], Mood)
    assert isinstance(back.mood_by_id[-1], Mood)
    assert (back.inner.from_, back.inner.again.text) == ("here", "deep")


def test_an_unset_message_is_none_and_an_empty_one_is_not() -> None:
    assert (
        get_codec().decode(Everything, get_codec().encode(Everything(inner=EverythingInner()))).inner
        == EverythingInner()
    )
    assert get_codec().decode(Everything, b"").inner is None


def test_an_unknown_enum_number_survives() -> None:
    back = get_codec().decode(Everything, get_codec().encode(Everything(as_kind=EverythingKind(7), moods=[Mood(99)])))

    assert (back.as_kind, back.moods) == (7, [99])
    assert back.moods[0].name == ""


def test_unknown_fields_survive_on_every_level() -> None:
    newer = Newer(text="known", inner=NewerInner(from_="here", news=7), news=["a", "b"])

    older = get_codec().decode(Everything, get_codec().encode(newer))
    older.text = "changed"

    assert get_codec().decode(Newer, get_codec().encode(older)) == Newer(
        text="changed", inner=NewerInner(from_="here", news=7), news=["a", "b"]
    )


def test_truncated_bytes_raise_decode_error() -> None:
    data = get_codec().encode(Everything(text="a longer text"))

    with pytest.raises(DecodeError):
        get_codec().decode(Everything, data[:-1])


def test_a_time_beyond_datetime_raises_decode_error() -> None:
    wire: Any = GetMessageClass(get_descriptor_pool().FindMessageTypeByName("sample.v1.Everything"))()
    wire.at.seconds = 253_402_300_800  # the year 10000

    with pytest.raises(DecodeError, match="out of range"):
        get_codec().decode(Everything, wire.SerializeToString())


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        get_codec().encode(Everything(at=datetime(2026, 1, 1)))


@pytest.mark.parametrize("wrong", [{"i32": 2**31}, {"u32": -1}, {"text": 1}, {"mood": "GOOD"}])
def test_a_value_that_does_not_fit_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        get_codec().encode(Everything(**wrong))


def test_floats_keep_their_bits() -> None:
    single = struct.unpack("f", struct.pack("f", 0.1))[0]

    back = get_codec().decode(Everything, get_codec().encode(Everything(single=single, double_value=-0.0)))

    assert back.single == single
    assert str(back.double_value) == "-0.0"


def test_wrappers_are_optional_values(tmp_path: Path) -> None:
    protos = sample.compile_protos(tmp_path, "wrapped/v1/wrapped.proto")
    sample.write_package(protos, tmp_path / "wrapped_messages")
    module = sample.imported(tmp_path / "wrapped_messages", "wrapped_messages.sample.wrapped.v1")
    pool = sample.imported(tmp_path / "wrapped_messages", "wrapped_messages.message_pool").default_message_pool
    own = Codec(protos.pool, pool)
    message = module.Wrapped(yes=False, i64=-5, text="", texts=["", "b"], u64=2**64 - 1)

    back = own.decode(module.Wrapped, own.encode(message))

    assert back == message
    assert (back.yes, back.text, back.data) == (False, "", None)


def test_a_message_that_no_class_is_generated_for_is_named() -> None:
    lonely = betterproto2.MessagePool()  # type: ignore[no-untyped-call]
    lonely.register_message("sample.v1", "Everything", Everything)

    with pytest.raises(TypeError, match="no class is generated for sample"):
        Codec(get_descriptor_pool(), lonely).decode(Everything, b"")
