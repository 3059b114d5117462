"""How long a channel waits for a broker, which is played by what pika would call back."""

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from pika.spec import Basic

from services.runtime.messaging import channel
from services.runtime.messaging.channel import BrokerUnavailable, Channel
from services.runtime.messaging.events import Envelope

PATIENCE_S = 0.2

type Played = tuple["Pika", Channel, asyncio.Future[None]]


class Pika:
    """A channel that takes everything and says nothing by itself."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def confirm_delivery(self, heard: Any, callback: Any) -> None:
        self.heard = heard
        callback(None)

    def basic_publish(self, _exchange: str, _key: str, _body: bytes, properties: Any) -> None:
        self.sent.append(properties.message_id)

    def says(self, kind: type, tag: int) -> None:
        self.heard(SimpleNamespace(method=kind(delivery_tag=tag, multiple=False)))


def event(name: str) -> Envelope:
    return Envelope(name, "/test", "test.happened", "test", datetime.now(UTC), {}, b"")


@pytest.fixture
async def channel(monkeypatch: pytest.MonkeyPatch) -> Played:
    monkeypatch.setattr(channel, "CONFIRM_TIMEOUT_S", PATIENCE_S)
    pika, lost = Pika(), asyncio.get_running_loop().create_future()
    made = Channel(pika, lost)
    await made.enable_confirms()
    return pika, made, lost


async def test_a_broker_that_says_nothing_is_given_up(
    channel: Played,
) -> None:
    _, made, _ = channel
    with pytest.raises(BrokerUnavailable, match="no answer"):
        await made.publish([event("a")])


async def test_a_slow_broker_is_waited_for_as_long_as_it_says_something(
    channel: Played,
) -> None:
    pika, made, _ = channel
    loop = asyncio.get_running_loop()
    began = loop.time()
    for tag in range(1, 5):
        loop.call_later(tag * PATIENCE_S * 0.6, pika.says, Basic.Ack, tag)

    await made.publish(event(name) for name in "abcd")

    assert loop.time() - began > 2 * PATIENCE_S
    assert pika.sent == [*"abcd"]


async def test_what_is_refused_fails_at_once(channel: Played) -> None:
    pika, made, _ = channel
    confirmed = made.publish_nowait([event("a"), event("b")])
    pika.says(Basic.Nack, 1)
    with pytest.raises(BrokerUnavailable, match="refused"):
        await confirmed


async def test_a_connection_that_goes_ends_the_wait(channel: Played) -> None:
    _, made, lost = channel
    confirmed = made.publish_nowait([event("a")])
    lost.set_exception(BrokerUnavailable("gone"))
    with pytest.raises(BrokerUnavailable, match="gone"):
        await confirmed
    with pytest.raises(BrokerUnavailable, match="gone"):
        made.publish_nowait([event("b")])
