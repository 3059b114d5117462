"""Confirm timeouts of a channel, with a fake of pika's channel."""

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import pika
import pytest
from pika.exceptions import ConnectionWrongStateError
from pika.frame import Header, Method, decode_frame
from pika.spec import Basic

from services.runtime.messaging.channel import BrokerUnavailable, Channel, Message
from services.runtime.messaging.events import Envelope

TIMEOUT_S = 0.2

type ChannelUnderTest = tuple["FakePikaChannel", Channel, asyncio.Future[None]]


class FakePikaChannel:
    """Accepts every message, and sends confirms only when a test calls `confirm`. It is its own connection."""

    channel_number = 1
    is_open = True
    params = pika.ConnectionParameters()

    def __init__(self) -> None:
        self.connection = self
        self.published: list[str] = []
        self.mandatory: list[bool] = []
        self.headers: list[dict[str, str]] = []
        self.queued_tags: list[int] = []
        self.acknowledged: list[tuple[int, bool]] = []

    def add_on_return_callback(self, on_return: Any) -> None:
        self.on_return = on_return

    def confirm_delivery(self, on_confirm: Any, callback: Any) -> None:
        self.on_confirm = on_confirm
        callback(None)

    def write(self, frames: bytes) -> None:
        while frames:
            size, frame = decode_frame(frames)
            frames = frames[size:]
            if isinstance(frame, Method):
                self.mandatory.append(frame.method.mandatory)
            elif isinstance(frame, Header):
                self.published.append(frame.properties.message_id)
                self.headers.append(frame.properties.headers)

    def basic_qos(self, *, prefetch_count: int, callback: Any) -> None:
        assert prefetch_count
        callback(None)

    def basic_consume(self, _queue: str, on_message: Any, callback: Any) -> None:
        callback(None)
        for tag in self.queued_tags:
            on_message(self, SimpleNamespace(delivery_tag=tag), None, b"")

    def basic_ack(self, tag: int, multiple: bool) -> None:
        self.acknowledged.append((tag, multiple))

    def confirm(self, method: type, tag: int) -> None:
        self.on_confirm(SimpleNamespace(method=method(delivery_tag=tag, multiple=False)))


def build_envelope(event_id: str, event_type: str = "test.happened") -> Envelope:
    return Envelope(event_id, "/test", event_type, "test", datetime.now(UTC), {}, b"")


@pytest.fixture
async def channel_under_test(monkeypatch: pytest.MonkeyPatch) -> ChannelUnderTest:
    monkeypatch.setattr("services.runtime.messaging.channel.CONFIRM_TIMEOUT_S", TIMEOUT_S)
    pika_channel, connection_lost = FakePikaChannel(), asyncio.get_running_loop().create_future()
    channel = Channel(pika_channel, connection_lost, AsyncMock())
    await channel.enable_confirms()
    return pika_channel, channel, connection_lost


async def test_publish_without_any_confirm_times_out(channel_under_test: ChannelUnderTest) -> None:
    _, channel, _ = channel_under_test
    with pytest.raises(BrokerUnavailable, match="no reply"):
        await channel.publish([build_envelope("a")])


async def test_publish_timeout_restarts_on_each_confirm(channel_under_test: ChannelUnderTest) -> None:
    pika_channel, channel, _ = channel_under_test
    loop = asyncio.get_running_loop()
    started_at = loop.time()
    for tag in range(1, 5):
        loop.call_later(tag * TIMEOUT_S * 0.6, pika_channel.confirm, Basic.Ack, tag)

    await channel.publish(build_envelope(event_id) for event_id in "abcd")

    assert loop.time() - started_at > 2 * TIMEOUT_S
    assert pika_channel.published == [*"abcd"]


async def test_nack_fails_pending_publish(channel_under_test: ChannelUnderTest) -> None:
    pika_channel, channel, _ = channel_under_test
    confirmed = channel.publish([build_envelope("a"), build_envelope("b")])
    pika_channel.confirm(Basic.Nack, 1)
    with pytest.raises(BrokerUnavailable, match="nacked"):
        await confirmed


async def test_connection_loss_fails_pending_and_later_publish(channel_under_test: ChannelUnderTest) -> None:
    _, channel, connection_lost = channel_under_test
    confirmed = channel.publish([build_envelope("a")])
    connection_lost.set_exception(BrokerUnavailable("connection lost"))
    with pytest.raises(BrokerUnavailable, match="connection lost"):
        await confirmed
    with pytest.raises(BrokerUnavailable, match="connection lost"):
        channel.publish([build_envelope("b")])


async def test_publish_on_a_closing_channel_fails(channel_under_test: ChannelUnderTest) -> None:
    pika_channel, channel, _ = channel_under_test
    pika_channel.is_open = False
    with pytest.raises(BrokerUnavailable, match="channel closed"):
        channel.publish([build_envelope("a")])
    assert pika_channel.published == []


async def test_republish_on_a_closing_channel_fails(channel_under_test: ChannelUnderTest) -> None:
    pika_channel, channel, _ = channel_under_test
    pika_channel.is_open = False
    with pytest.raises(BrokerUnavailable, match="channel closed"):
        await channel.republish("test.queues", "test.queue", Message(1, pika.BasicProperties(), b""), {})


async def test_no_channel_is_opened_on_a_lost_connection() -> None:
    connection_lost = asyncio.get_running_loop().create_future()
    connection_lost.set_exception(BrokerUnavailable("connection lost"))
    channel = Channel(FakePikaChannel(), connection_lost, AsyncMock(side_effect=ConnectionWrongStateError))
    with pytest.raises(BrokerUnavailable, match="connection lost"):
        await channel.open_sibling()


async def test_event_of_unsampled_trace_carries_its_context(channel_under_test: ChannelUnderTest) -> None:
    pika_channel, channel, _ = channel_under_test
    context = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-00", "tracestate": "vendor=1"}
    envelope = build_envelope("a")._replace(trace_context=context)
    confirmed = channel.publish([envelope])
    pika_channel.confirm(Basic.Ack, 1)
    await confirmed
    assert pika_channel.headers == [envelope.to_headers()]


async def test_returned_events_are_the_result_of_publish(channel_under_test: ChannelUnderTest) -> None:
    pika_channel, channel, _ = channel_under_test
    confirmed = channel.publish([build_envelope("a", "orders.paid"), build_envelope("b", "partners.catalog_changed")])
    assert pika_channel.mandatory == [True, False], "an event type without queues is received by subscriptions only"
    pika_channel.on_return(None, None, SimpleNamespace(message_id="a"), b"")
    pika_channel.confirm(Basic.Ack, 1)
    pika_channel.confirm(Basic.Ack, 2)
    assert await confirmed == {"a"}


async def test_messages_received_together_are_acknowledged_together(channel_under_test: ChannelUnderTest) -> None:
    pika_channel, channel, _ = channel_under_test
    pika_channel.queued_tags = [1, 2, 3]
    messages = channel.consume("test.queue", 10)
    for message in [await anext(messages) for _ in range(3)]:
        channel.acknowledge(message)
    await asyncio.sleep(0)
    assert pika_channel.acknowledged == [(3, True)]


async def test_connection_loss_ends_consumption_of_received_messages(channel_under_test: ChannelUnderTest) -> None:
    pika_channel, channel, connection_lost = channel_under_test
    pika_channel.queued_tags = [1, 2]
    messages = channel.consume("test.queue", 10)
    channel.acknowledge(await anext(messages))
    connection_lost.set_exception(BrokerUnavailable("connection lost"))
    with pytest.raises(BrokerUnavailable, match="connection lost"):
        await anext(messages)
    await asyncio.sleep(0)
    assert pika_channel.acknowledged == [], "a closed channel accepts no acknowledgement"
