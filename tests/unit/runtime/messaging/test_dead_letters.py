"""Dead letters: parsing of messages, replay and deletion, on a fake channel."""

from datetime import UTC, datetime
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ChannelWrongStateError, ConnectionClosedByBroker, NackError, UnroutableError
from pika.spec import BasicProperties

from generated.events import USER_DELETED
from generated.proto.delivery.events.v1 import UserDeleted
from services.runtime.messaging.consumer import (
    ATTEMPT_HEADER,
    DEAD_AT_HEADER,
    DEAD_REASON_HEADER,
    UNAVAILABLE_ATTEMPTS_HEADER,
)
from services.runtime.messaging.dead_letters import (
    REPLAYS_HEADER,
    DeadLetters,
    DeadLettersError,
    connect,
    parse_dead_letter,
)
from services.runtime.messaging.topology import QUEUES
from tests.unit.runtime.messaging.fakes import FakeBlockingChannel, QueuedMessage

QUEUE = "orders.users"
PAYLOAD = USER_DELETED.encode(UserDeleted(user_id="ada"))
CLOUD_EVENT = {
    "cloudEvents:id": "e1",
    "cloudEvents:type": "users.deleted",
    "cloudEvents:subject": "ada",
    "cloudEvents:time": "2026-01-01T00:00:00+00:00",
}
RETRY_STATE = {
    ATTEMPT_HEADER: 5,
    UNAVAILABLE_ATTEMPTS_HEADER: 2,
    DEAD_REASON_HEADER: "ValueError after 5 attempts",
    DEAD_AT_HEADER: "2026-01-02T00:00:00+00:00",
}


def build_message(event_id: str = "e1", **headers: Any) -> QueuedMessage:
    return BasicProperties(headers=CLOUD_EVENT | RETRY_STATE | {"cloudEvents:id": event_id} | headers), PAYLOAD


def create_dead_letters(*messages: QueuedMessage) -> tuple[DeadLetters, FakeBlockingChannel]:
    channel = FakeBlockingChannel(**{f"{QUEUE}.dead": messages})
    return DeadLetters(cast(BlockingChannel, channel)), channel


def list_ids(channel: FakeBlockingChannel, queue: str = f"{QUEUE}.dead") -> list[str]:
    return [properties.headers["cloudEvents:id"] for properties, _ in channel.queues.get(queue, [])]


def test_summary_has_metadata_and_retry_state_without_payload() -> None:
    dead_letter = parse_dead_letter(QUEUE, *build_message())
    assert dead_letter.summarise() == {
        "queue": QUEUE,
        "id": "e1",
        "type": "users.deleted",
        "subject": "ada",
        "reason": "ValueError after 5 attempts",
        "attempts": 5,
        "unavailable_attempts": 2,
        "replays": 0,
        "happened_at": "2026-01-01T00:00:00+00:00",
        "dead_at": "2026-01-02T00:00:00+00:00",
        "size": len(PAYLOAD),
    }
    assert str(PAYLOAD) not in repr(dead_letter)


def test_message_without_headers_is_identified_by_its_payload() -> None:
    dead_letter = parse_dead_letter(QUEUE, BasicProperties(), b"junk")
    assert dead_letter.id.startswith("sha256-")
    assert (dead_letter.type, dead_letter.subject, dead_letter.dead_at) == ("", "", "")
    assert (dead_letter.attempts, dead_letter.unavailable_attempts, dead_letter.replays) == (1, 0, 0)
    assert dead_letter.reason == "dead-lettered by the broker: unknown reason"
    assert dead_letter.id == parse_dead_letter(QUEUE, BasicProperties(), b"junk").id
    assert dead_letter.id != parse_dead_letter(QUEUE, BasicProperties(), b"other").id


def test_amqp_properties_replace_missing_cloud_event_attributes() -> None:
    dead_letter = parse_dead_letter(QUEUE, BasicProperties(message_id="m1", type="users.deleted"), PAYLOAD)
    assert (dead_letter.id, dead_letter.type) == ("m1", "users.deleted")


def test_message_dead_lettered_by_broker_has_its_reason_and_time() -> None:
    x_death = [{"reason": "delivery_limit", "time": datetime(2026, 1, 3, 12)}, {"reason": "expired"}]
    dead_letter = parse_dead_letter(QUEUE, BasicProperties(headers=CLOUD_EVENT | {"x-death": x_death}), PAYLOAD)
    assert dead_letter.reason == "dead-lettered by the broker: delivery_limit"
    assert dead_letter.dead_at == datetime(2026, 1, 3, 12, tzinfo=UTC).isoformat()


@given(
    headers=st.dictionaries(
        st.sampled_from([*CLOUD_EVENT, *RETRY_STATE, REPLAYS_HEADER, "x-other"]),
        st.none() | st.booleans() | st.integers() | st.text() | st.binary() | st.lists(st.integers(), max_size=2),
    ),
    payload=st.binary(max_size=40),
)
def test_any_message_can_be_listed(headers: dict[str, Any], payload: bytes) -> None:
    dead_letter = parse_dead_letter(QUEUE, BasicProperties(headers=headers), payload)
    assert dead_letter.id
    dead_letter.decode_payload()


def test_payload_is_decoded_by_event_type() -> None:
    assert parse_dead_letter(QUEUE, *build_message()).decode_payload() == {"userId": "ada"}


@pytest.mark.parametrize(
    ("event_type", "payload"), [("users.deleted", PAYLOAD[:-1]), ("no.such_event", PAYLOAD), ("", PAYLOAD)]
)
def test_undecodable_payload_is_none(event_type: str, payload: bytes) -> None:
    properties = BasicProperties(headers=CLOUD_EVENT | {"cloudEvents:type": event_type})
    assert parse_dead_letter(QUEUE, properties, payload).decode_payload() is None


def test_listing_waits_until_messages_are_requeued() -> None:
    dead_letters, channel = create_dead_letters(build_message("e1"), build_message("e2"))
    channel.requeue_sleeps = 3
    assert [each.id for each in dead_letters.list_all(QUEUE)] == ["e1", "e2"]
    assert list_ids(channel) == ["e1", "e2"]
    channel.requeue_sleeps = 2
    assert [each.id for each in dead_letters.drop(QUEUE, lambda each: each.id == "e1")] == ["e1"]
    assert list_ids(channel) == ["e2"]


def test_list_leaves_all_dead_letters_in_the_queue() -> None:
    dead_letters, channel = create_dead_letters(build_message("a"), build_message("b"))
    for _ in range(2):
        assert [each.id for each in dead_letters.list_all(QUEUE)] == ["a", "b"]
    assert list_ids(channel) == ["a", "b"]


def test_list_ends_when_another_client_has_fetched_the_rest() -> None:
    dead_letters, channel = create_dead_letters(build_message("a"))
    declared = channel.queue_declare
    channel.queue_declare = lambda queue, *, passive: _add_one(declared(queue, passive=passive))  # type: ignore[method-assign]
    assert [each.id for each in dead_letters.list_all(QUEUE)] == ["a"]


def _add_one(declared: Any) -> Any:
    declared.method.message_count += 1
    return declared


def test_replay_moves_selected_dead_letter_with_reset_retry_state() -> None:
    dead_letters, channel = create_dead_letters(
        build_message("a"), build_message("b", **{"x-death": [], "traceparent": "00-1-2-01"})
    )
    assert [each.id for each in dead_letters.replay(QUEUE, lambda each: each.id == "b")] == ["b"]
    assert list_ids(channel) == ["a"]
    ((properties, payload),) = channel.queues[QUEUE]
    assert payload == PAYLOAD
    expected = CLOUD_EVENT | {"cloudEvents:id": "b", "traceparent": "00-1-2-01", REPLAYS_HEADER: 1}
    assert properties.headers == expected


def test_replays_are_counted() -> None:
    dead_letters, channel = create_dead_letters(build_message(**{REPLAYS_HEADER: 3}))
    dead_letters.replay(QUEUE, lambda _: True)
    assert channel.queues[QUEUE][0][0].headers[REPLAYS_HEADER] == 4


@pytest.mark.parametrize("error", [UnroutableError([]), NackError([])])
def test_unconfirmed_replay_leaves_the_dead_letter(error: Exception) -> None:
    dead_letters, channel = create_dead_letters(build_message("a"), build_message("b"))
    channel.publish_error = error
    with pytest.raises(DeadLettersError, match=f"{QUEUE} does not accept a; it remains a dead letter"):
        dead_letters.replay(QUEUE, lambda _: True)
    channel.basic_recover(requeue=True)  # the broker does so when the connection closes
    assert list_ids(channel) == ["a", "b"]
    assert list_ids(channel, QUEUE) == []


def test_drop_deletes_only_selected_dead_letters() -> None:
    dead_letters, channel = create_dead_letters(*map(build_message, "abc"))
    assert [each.id for each in dead_letters.drop(QUEUE, lambda each: each.id in "ac")] == ["a", "c"]
    assert list_ids(channel) == ["b"]
    assert list_ids(channel, QUEUE) == []


def test_unknown_queue_is_reported_with_the_known_ones() -> None:
    dead_letters, _ = create_dead_letters()
    with pytest.raises(DeadLettersError, match=rf"unknown queue orders\.histories; the queues are .*{QUEUES[0]}"):
        dead_letters.list_all("orders.histories")


def test_missing_dead_letter_queue_is_reported() -> None:
    dead_letters, _ = create_dead_letters()
    with pytest.raises(DeadLettersError, match="channel closed by the broker: NOT_FOUND"):
        dead_letters.list_all(QUEUES[0])


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ConnectionClosedByBroker(320, "CONNECTION_FORCED"), "CONNECTION_FORCED"),
        (ChannelWrongStateError(), "ChannelWrongStateError"),
    ],
)
def test_lost_connection_is_reported(error: Exception, message: str) -> None:
    dead_letters, channel = create_dead_letters(build_message())
    channel.get_error = error
    with pytest.raises(DeadLettersError, match=f"connection to the broker lost: .*{message}"):
        dead_letters.list_all(QUEUE)


def test_unavailable_broker_is_reported_without_password() -> None:
    url = "amqp://orders:hunter2@127.0.0.1:1/delivery"
    with pytest.raises(DeadLettersError, match=r"broker unavailable at 127\.0\.0\.1:1") as raised, connect(url):
        pass
    assert "hunter2" not in str(raised.value)
