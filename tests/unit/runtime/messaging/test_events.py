"""Envelopes as CloudEvents headers, and the event types of the contract."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from generated.events import EVENTS, NOTIFICATION_REQUESTED, USER_DELETED
from generated.proto.delivery.events.v1 import NotificationRequested, UserDeleted
from services.runtime.messaging.events import Envelope, EventType, MalformedEvent, MessageMetadata, parse_metadata

TIMES = st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC))
HEADERS = {"cloudEvents:id": "e1", "cloudEvents:type": "users.deleted", "cloudEvents:time": "2026-01-01T00:00:00Z"}


@given(event_id=st.text(), event_type=st.text(), subject=st.text(), occurred_at=TIMES)
def test_metadata_is_that_of_envelope(event_id: str, event_type: str, subject: str, occurred_at: datetime) -> None:
    envelope = Envelope(event_id, "/orders", event_type, subject, occurred_at, {"traceparent": "00-1-2-01"}, b"")
    headers = envelope.to_headers()
    assert parse_metadata("q", headers, 3) == MessageMetadata(
        "q", event_id, event_type, subject, occurred_at, 3, headers
    )


@pytest.mark.parametrize("event_type", EVENTS.values(), ids=lambda event_type: event_type.type)
def test_event_is_published_to_an_exchange_of_its_producer(event_type: EventType[Any]) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    envelope = Envelope("e1", f"/{event_type.producer}", event_type.type, "s1", now, {}, b"")
    assert envelope.exchange == event_type.exchange == f"{event_type.producer}.events"


def test_headers_contain_source_version_and_trace_context() -> None:
    trace_context = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "a=b"}
    envelope = Envelope("e1", "/orders", "orders.paid", "o1", datetime(2026, 1, 1, tzinfo=UTC), trace_context, b"")
    assert envelope.to_headers() == {
        "cloudEvents:specversion": "1.0",
        "cloudEvents:id": "e1",
        "cloudEvents:source": "/orders",
        "cloudEvents:type": "orders.paid",
        "cloudEvents:subject": "o1",
        "cloudEvents:time": "2026-01-01T00:00:00+00:00",
        **trace_context,
    }


def test_span_attributes_do_not_contain_the_payload() -> None:
    envelope = Envelope("e1", "/orders", "orders.paid", "o1", datetime(2026, 1, 1, tzinfo=UTC), {}, b"secret")
    assert envelope.get_span_attributes() == {
        "cloudevents.event_id": "e1",
        "cloudevents.event_type": "orders.paid",
        "cloudevents.event_source": "/orders",
        "cloudevents.event_subject": "o1",
    }


@pytest.mark.parametrize("name", HEADERS)
def test_missing_attribute_raises_malformed_event(name: str) -> None:
    headers = {key: value for key, value in HEADERS.items() if key != name}
    with pytest.raises(MalformedEvent, match=f"not a CloudEvent: '{name}'"):
        parse_metadata("q", headers, 1)


@pytest.mark.parametrize("time", ["", "yesterday", "2026-13-01T00:00:00Z", 1767225600, None, b"2026-01-01"])
def test_invalid_time_raises_malformed_event(time: Any) -> None:
    with pytest.raises(MalformedEvent):
        parse_metadata("q", HEADERS | {"cloudEvents:time": time}, 1)


def test_subject_is_optional() -> None:
    assert parse_metadata("q", HEADERS, 1).subject == ""


def test_time_with_offset_is_accepted() -> None:
    metadata = parse_metadata("q", HEADERS | {"cloudEvents:time": "2026-01-01T02:00:00+02:00"}, 1)
    assert metadata.occurred_at == datetime(2026, 1, 1, tzinfo=timezone(timedelta(0)))


def test_headers_are_not_part_of_representation() -> None:
    assert "secret" not in repr(parse_metadata("q", HEADERS | {"x": "secret"}, 1))


def test_event_is_unchanged_by_round_trip() -> None:
    event = UserDeleted(user_id="ada")
    assert USER_DELETED.decode(USER_DELETED.encode(event)) == event
    assert USER_DELETED.subject(event) == "ada"


def test_decoding_of_truncated_payload_raises_decode_error() -> None:
    with pytest.raises(DecodeError):
        USER_DELETED.decode(USER_DELETED.encode(UserDeleted(user_id="ada"))[:-1])


def test_all_queues_include_the_priority_queue() -> None:
    assert NOTIFICATION_REQUESTED.priority_queue
    assert NOTIFICATION_REQUESTED.all_queues == (*NOTIFICATION_REQUESTED.queues, NOTIFICATION_REQUESTED.priority_queue)
    assert USER_DELETED.all_queues == USER_DELETED.queues


@pytest.mark.parametrize("message", EVENTS, ids=lambda message: message.__name__)
def test_event_type_accepts_its_empty_message(message: type[Any]) -> None:
    event_type = EVENTS[message]
    assert event_type.decode(b"") == message()
    assert isinstance(event_type.subject(message()), str)


def test_event_types_and_names_correspond_one_to_one() -> None:
    assert len({event_type.type for event_type in EVENTS.values()}) == len(EVENTS)
    assert EVENTS[NotificationRequested] is NOTIFICATION_REQUESTED
