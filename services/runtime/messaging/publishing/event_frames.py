"""AMQP 0-9-1 frames by which events are published.

pika creates objects for each frame and encodes each property apart, which takes several times as long.
"""

from collections.abc import Mapping
from functools import cache
from struct import Struct

from pika import DeliveryMode, spec
from pika.exceptions import ShortStringTooLong
from pika.frame import Method

from services.runtime.messaging import topology
from services.runtime.messaging.events import Envelope

CONTENT_TYPE = "application/protobuf"

_MAX_SHORT_STRING_BYTES = 255
_FRAME_OVERHEAD_BYTES = spec.FRAME_HEADER_SIZE + spec.FRAME_END_SIZE
_FRAME_END = bytes([spec.FRAME_END])
_FRAME_HEADER = Struct(">BHI")
"""Frame type, channel number and size of the payload."""

_CONTENT_HEADER = Struct(">HHQH")
"""Class id, weight (always 0), size of the body and property flags."""

_PROPERTY_FLAGS = (
    spec.BasicProperties.FLAG_CONTENT_TYPE
    | spec.BasicProperties.FLAG_HEADERS
    | spec.BasicProperties.FLAG_DELIVERY_MODE
    | spec.BasicProperties.FLAG_MESSAGE_ID
    | spec.BasicProperties.FLAG_TIMESTAMP
    | spec.BasicProperties.FLAG_TYPE
)
_PERSISTENT = bytes([DeliveryMode.Persistent.value])


class EventFrames:
    """Encoder of published events for one channel. `max_frame_bytes` was negotiated by the connection."""

    def __init__(self, channel_number: int, max_frame_bytes: int) -> None:
        self._channel_number = channel_number
        self._max_body_bytes = max_frame_bytes - _FRAME_OVERHEAD_BYTES
        self._method_frames: dict[tuple[str, str], bytes] = {}
        """Encoded `Basic.Publish` by exchange and event type."""

    def encode(self, envelope: Envelope, headers: Mapping[str, str]) -> bytes:
        """Encode an event as a persistent message with these headers.

        It is mandatory if the contract defines queues for its type.
        """
        body = envelope.payload
        # The properties have the order of their flags, from the highest.
        content_header = b"".join(
            (
                _CONTENT_HEADER.pack(spec.Basic.INDEX, 0, len(body), _PROPERTY_FLAGS),
                _encode_name(CONTENT_TYPE),
                _encode_table(headers),
                _PERSISTENT,
                _encode_short_string(envelope.id),
                int(envelope.occurred_at.timestamp()).to_bytes(8),
                _encode_name(envelope.type),
            )
        )
        frames = [
            self._get_method_frame(envelope.exchange, envelope.type),
            self._build_frame(spec.FRAME_HEADER, content_header),
        ]
        for start in range(0, len(body), self._max_body_bytes):
            frames.append(self._build_frame(spec.FRAME_BODY, body[start : start + self._max_body_bytes]))
        return b"".join(frames)

    def _get_method_frame(self, exchange: str, event_type: str) -> bytes:
        frame = self._method_frames.get((exchange, event_type))
        if frame is None:
            is_mandatory = event_type in topology.ROUTED_EVENT_TYPES
            method = spec.Basic.Publish(exchange=exchange, routing_key=event_type, mandatory=is_mandatory)
            frame = self._method_frames[exchange, event_type] = Method(self._channel_number, method).marshal()
        return frame

    def _build_frame(self, frame_type: int, payload: bytes) -> bytes:
        return _FRAME_HEADER.pack(frame_type, self._channel_number, len(payload)) + payload + _FRAME_END


def _encode_short_string(value: str) -> bytes:
    data = value.encode()
    if len(data) > _MAX_SHORT_STRING_BYTES:
        raise ShortStringTooLong(data)
    return len(data).to_bytes() + data


_encode_name = cache(_encode_short_string)
"""Encode a string of which there are few, such as the name of a header."""


def _encode_table(headers: Mapping[str, str]) -> bytes:
    table = b"".join([_encode_name(name) + _encode_long_string(value) for name, value in headers.items()])
    return len(table).to_bytes(4) + table


def _encode_long_string(value: str) -> bytes:
    data = value.encode()
    return b"S" + len(data).to_bytes(4) + data
