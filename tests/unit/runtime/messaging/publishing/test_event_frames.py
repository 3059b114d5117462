"""Frames of published events, compared with those of pika."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pika
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika import frame
from pika.exceptions import ShortStringTooLong
from pika.spec import FRAME_END_SIZE, FRAME_HEADER_SIZE, Basic

from services.runtime.messaging import topology
from services.runtime.messaging.events import Envelope
from services.runtime.messaging.publishing.event_frames import EventFrames

MAX_FRAME_BYTES = 4096
MAX_BODY_BYTES = MAX_FRAME_BYTES - FRAME_HEADER_SIZE - FRAME_END_SIZE

envelopes = st.builds(
    Envelope,
    id=st.text(max_size=60),
    source=st.just("/test"),
    type=st.sampled_from([*sorted(topology.ROUTED_EVENT_TYPES), "test.unrouted"]),
    subject=st.text(max_size=60),
    occurred_at=st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
    trace_context=st.dictionaries(st.sampled_from(["traceparent", "tracestate"]), st.text(max_size=60)),
    payload=st.integers(0, 3 * MAX_BODY_BYTES).map(bytes),
)


def encode_with_pika(channel_number: int, envelope: Envelope) -> Iterator[bytes]:
    is_mandatory = envelope.type in topology.ROUTED_EVENT_TYPES
    properties = pika.BasicProperties(
        content_type="application/protobuf",
        delivery_mode=pika.DeliveryMode.Persistent,
        message_id=envelope.id,
        type=envelope.type,
        timestamp=int(envelope.occurred_at.timestamp()),
        headers=envelope.to_headers(),
    )
    publish = Basic.Publish(exchange="test.events", routing_key=envelope.type, mandatory=is_mandatory)
    yield frame.Method(channel_number, publish).marshal()
    yield frame.Header(channel_number, len(envelope.payload), properties).marshal()
    for start in range(0, len(envelope.payload), MAX_BODY_BYTES):
        yield frame.Body(channel_number, envelope.payload[start : start + MAX_BODY_BYTES]).marshal()


@given(st.integers(1, 65535), st.lists(envelopes, max_size=3))
def test_frames_are_those_of_pika(channel_number: int, events: list[Envelope]) -> None:
    frames = EventFrames(channel_number, MAX_FRAME_BYTES)
    for envelope in events:
        encoded = frames.encode(envelope, envelope.to_headers())
        assert encoded == b"".join(encode_with_pika(channel_number, envelope))


def test_id_that_exceeds_a_short_string_is_an_error_of_the_protocol() -> None:
    envelope = Envelope("x" * 256, "/test", "test.unrouted", "", datetime.now(UTC), {}, b"")
    with pytest.raises(ShortStringTooLong):
        EventFrames(1, MAX_FRAME_BYTES).encode(envelope, envelope.to_headers())
