"""What becomes of a message is counted: consumed, tried again, waiting for a store, or dead."""

from collections.abc import Mapping
from typing import Any, cast

import pytest
from pika.spec import BasicProperties

from generated.events.consumers import NotificationsAlertsConsumer
from generated.problems import Reason
from generated.proto.delivery.events.v1 import SystemAlert
from services.runtime.core.errors import ApiError
from services.runtime.messaging.channel import BrokerUnavailable, Channel, Message
from services.runtime.messaging.consumer import (
    ATTEMPT_HEADER,
    MAX_UNAVAILABLE_ATTEMPTS,
    UNAVAILABLE_ATTEMPTS_HEADER,
    _process_message,
)
from services.runtime.messaging.events import MessageMetadata
from services.runtime.messaging.topology import RETRY_DELAYS_S
from services.runtime.telemetry import metrics

TYPE = "system.alert"


class Broken(NotificationsAlertsConsumer):
    """Raises what it was given, if anything."""

    def __init__(self, error: Exception | None) -> None:
        self._error = error

    async def system_alert(self, event: SystemAlert, delivery: MessageMetadata) -> None:
        if self._error is not None:
            raise self._error


class FakeChannel:
    """Keeps where messages were sent on to, and which were acknowledged."""

    def __init__(self, *, lost: bool = False) -> None:
        self.sent: list[str] = []
        self.settled = 0
        self._lost = lost

    async def republish(self, exchange: str, routing_key: str, message: Message, headers: dict[str, Any]) -> None:
        self.sent.append(exchange or routing_key)

    def acknowledge(self, message: Message) -> None:
        if self._lost:
            raise BrokerUnavailable("gone")
        self.settled += 1


class Recorder:
    """Takes measurements in the place of an instrument."""

    def __init__(self) -> None:
        self.labels: list[Mapping[str, str]] = []

    def record(self, seconds: float, labels: Mapping[str, str]) -> None:
        assert seconds >= 0
        self.labels.append(labels)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    made = Recorder()
    monkeypatch.setattr(metrics, "EVENT_PROCESS_DURATION", made)
    return made


def message(kind: str = TYPE, **headers: Any) -> Message:
    named = {"cloudEvents:id": "1", "cloudEvents:type": kind, "cloudEvents:time": "2026-01-01T00:00:00Z"}
    return Message(1, BasicProperties(headers=named | headers), b"")


AWAY = ApiError(Reason.UPSTREAM_UNAVAILABLE)
WRONG = ValueError("wrong")


@pytest.mark.parametrize(
    ("error", "headers", "outcome", "sent"),
    [
        (None, {}, "consumed", []),
        (WRONG, {}, "retried", ["delivery.retry.1s"]),
        (WRONG, {ATTEMPT_HEADER: len(RETRY_DELAYS_S)}, "retried", ["delivery.retry.120s"]),
        (WRONG, {ATTEMPT_HEADER: len(RETRY_DELAYS_S) + 1}, "dead", ["notifications.alerts.dead"]),
        (AWAY, {}, "waiting", ["delivery.retry.1s"]),
        (AWAY, {UNAVAILABLE_ATTEMPTS_HEADER: MAX_UNAVAILABLE_ATTEMPTS}, "dead", ["notifications.alerts.dead"]),
    ],
)
async def test_each_outcome_is_counted_as_what_it_is(
    recorder: Recorder, error: Exception | None, headers: dict[str, Any], outcome: str, sent: list[str]
) -> None:
    channel = FakeChannel()
    await _process_message(cast(Channel, channel), Broken(error), message(**headers))
    assert (channel.sent, channel.settled) == (sent, 1)
    assert recorder.labels == [{"queue": "notifications.alerts", "event": TYPE, "outcome": outcome}]


async def test_what_nobody_knows_is_dead_and_named_other(recorder: Recorder) -> None:
    channel = FakeChannel()
    await _process_message(cast(Channel, channel), Broken(None), message("ada@delivery.test"))
    assert channel.sent == ["notifications.alerts.dead"]
    assert recorder.labels == [{"queue": "notifications.alerts", "event": "other", "outcome": "dead"}]


async def test_a_message_that_comes_again_is_not_counted_yet(recorder: Recorder) -> None:
    await _process_message(cast(Channel, FakeChannel(lost=True)), Broken(None), message())
    assert recorder.labels == []
