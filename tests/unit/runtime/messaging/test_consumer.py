"""Outcome metric of handled messages: consumed, retried, waiting for a dependency, or dead. Spans of messages.

Messages that the broker does not confirm.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, cast

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pika.spec import BasicProperties

from generated.events.consumers import NotificationsAlertsConsumer
from generated.problems import Reason
from generated.proto.delivery.events.v1 import SystemAlert
from services.runtime.core.errors import ApiError
from services.runtime.messaging import consumer as consumer_module
from services.runtime.messaging import metrics
from services.runtime.messaging.channel import BrokerUnavailable, Channel, Message, MessageUnroutable
from services.runtime.messaging.connection import Broker
from services.runtime.messaging.consumer import (
    ATTEMPT_HEADER,
    MAX_UNAVAILABLE_ATTEMPTS,
    UNAVAILABLE_ATTEMPTS_HEADER,
    Consumer,
    MessageProcessor,
    consume,
)
from services.runtime.messaging.events import MessageMetadata
from services.runtime.messaging.topology import RETRY_DELAYS_S
from services.runtime.telemetry import tracing
from services.runtime.telemetry.histograms import DurationHistogram

TYPE = "system.alert"


class FailingConsumer(NotificationsAlertsConsumer):
    """Consumer whose handler raises the given error, if any."""

    def __init__(self, error: Exception | None) -> None:
        self._error = error

    async def on_system_alert(self, event: SystemAlert, delivery: MessageMetadata) -> None:
        if self._error is not None:
            raise self._error


class FakeChannel:
    """Records the destinations of republished messages, and counts acknowledgements.

    The first `failures` attempts to republish a message fail.
    """

    def __init__(self, *, connection_lost: bool = False, failures: int = 0) -> None:
        self.republished: list[str] = []
        self.acknowledged = 0
        self.failed = asyncio.Event()
        self._failures = failures
        self._connection_lost = connection_lost

    async def consume(self, queue: str, prefetch: int) -> AsyncIterator[Message]:
        yield build_message()
        await asyncio.Event().wait()

    async def republish(self, exchange: str, routing_key: str, message: Message, headers: dict[str, Any]) -> None:
        if self._failures:
            self._failures -= 1
            self.failed.set()
            raise MessageUnroutable("no queue")
        self.republished.append(routing_key if exchange == "notifications.queues" else exchange)

    def acknowledge(self, message: Message) -> None:
        if self._connection_lost:
            raise BrokerUnavailable("connection lost")
        self.acknowledged += 1


async def process(channel: FakeChannel, consumer: Consumer, message: Message) -> None:
    await MessageProcessor(cast(Channel, channel), consumer).process(message)


type Measured = Callable[[], list[Mapping[str, str]]]
"""Returns the project's labels of the messages that were measured during the test."""


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Measured:
    histogram = DurationHistogram("test.process.duration", "Description.", metrics._describe_outcome)
    monkeypatch.setattr(
        metrics,
        "_bind_process_duration",
        lambda queue, event: histogram.bind(metrics._build_received_attributes("process", queue, event)),
    )

    def list_labels() -> list[Mapping[str, str]]:
        points = histogram.to_metric().data.data_points
        return [
            {name: str(value) for name, value in (point.attributes or {}).items() if "." not in name}
            for point in points
        ]

    return list_labels


def build_message(event_type: str = TYPE, **headers: Any) -> Message:
    attributes = {"cloudEvents:id": "1", "cloudEvents:type": event_type, "cloudEvents:time": "2026-01-01T00:00:00Z"}
    return Message(1, BasicProperties(headers=attributes | headers), b"")


UNAVAILABLE = ApiError(Reason.UPSTREAM_UNAVAILABLE)
HANDLER_ERROR = ValueError("wrong")


@pytest.mark.parametrize(
    ("error", "headers", "outcome", "republished"),
    [
        (None, {}, "consumed", []),
        (HANDLER_ERROR, {}, "retried", ["notifications.retry.1s"]),
        (HANDLER_ERROR, {ATTEMPT_HEADER: len(RETRY_DELAYS_S)}, "retried", ["notifications.retry.120s"]),
        (HANDLER_ERROR, {ATTEMPT_HEADER: len(RETRY_DELAYS_S) + 1}, "dead", ["notifications.alerts.dead"]),
        (UNAVAILABLE, {}, "waiting", ["notifications.retry.1s"]),
        (UNAVAILABLE, {UNAVAILABLE_ATTEMPTS_HEADER: MAX_UNAVAILABLE_ATTEMPTS}, "dead", ["notifications.alerts.dead"]),
    ],
)
async def test_handled_message_is_recorded_with_its_outcome(
    measured: Measured, error: Exception | None, headers: dict[str, Any], outcome: str, republished: list[str]
) -> None:
    channel = FakeChannel()
    await process(channel, FailingConsumer(error), build_message(**headers))
    assert (channel.republished, channel.acknowledged) == (republished, 1)
    assert measured() == [{"queue": "notifications.alerts", "event": TYPE, "outcome": outcome}]


async def test_unknown_event_type_is_dead_lettered_and_recorded_as_other(measured: Measured) -> None:
    channel = FakeChannel()
    await process(channel, FailingConsumer(None), build_message("ada@delivery.test"))
    assert channel.republished == ["notifications.alerts.dead"]
    assert measured() == [{"queue": "notifications.alerts", "event": "other", "outcome": "dead"}]


async def test_unacknowledged_message_is_not_recorded(measured: Measured) -> None:
    await process(FakeChannel(connection_lost=True), FailingConsumer(None), build_message())
    assert measured() == []


@pytest.mark.parametrize("error", [UNAVAILABLE, HANDLER_ERROR])
async def test_message_is_republished_until_confirmed_then_acknowledged(
    measured: Measured, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(consumer_module, "INITIAL_REPUBLISH_DELAY_S", 0.001)
    channel = FakeChannel(failures=3)
    await process(channel, FailingConsumer(error), build_message())
    assert (channel.republished, channel.acknowledged) == (["notifications.retry.1s"], 1)
    assert len(measured()) == 1


async def test_dead_letter_is_republished_until_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer_module, "INITIAL_REPUBLISH_DELAY_S", 0.001)
    channel = FakeChannel(failures=1)
    await process(channel, FailingConsumer(None), build_message("unknown"))
    assert (channel.republished, channel.acknowledged) == (["notifications.alerts.dead"], 1)


class FakeBroker:
    """Broker with one channel."""

    def __init__(self, channel: FakeChannel) -> None:
        self._channel = channel

    async def run_with_reconnect(self, work: Callable[[Channel], Awaitable[None]]) -> None:
        await work(cast(Channel, self._channel))


async def test_stopping_consumer_does_not_wait_for_next_attempt(
    measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("INITIAL_REPUBLISH_DELAY_S", "MAX_REPUBLISH_DELAY_S"):
        monkeypatch.setattr(consumer_module, name, 60)
    channel = FakeChannel(failures=1_000_000)
    task = asyncio.create_task(consume(cast(Broker, FakeBroker(channel)), FailingConsumer(UNAVAILABLE)))
    await channel.failed.wait()
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=5)
    assert done
    assert (channel.republished, channel.acknowledged, measured()) == ([], 0, [])


async def test_failed_republication_after_stop_is_not_repeated() -> None:
    channel = FakeChannel(failures=1)
    processor = MessageProcessor(cast(Channel, channel), FailingConsumer(UNAVAILABLE))
    processor.stop()
    await processor.process(build_message())
    assert (channel.republished, channel.acknowledged) == ([], 0)


class TracingConsumer(NotificationsAlertsConsumer):
    """Consumer that records the trace context of its handler."""

    def __init__(self) -> None:
        self.traceparents: list[str] = []

    async def on_system_alert(self, event: SystemAlert, delivery: MessageMetadata) -> None:
        self.traceparents.append(tracing.get_context_headers()["traceparent"])


@pytest.mark.parametrize("is_sampled", [True, False])
async def test_span_of_a_message_is_a_child_of_its_producer(monkeypatch: pytest.MonkeyPatch, is_sampled: bool) -> None:
    exporter, provider = InMemorySpanExporter(), tracing.build_tracer_provider("test", "test", 0)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "tracer", provider.get_tracer("test"))
    trace_id, producer_id = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    traceparent = f"00-{trace_id}-{producer_id}-0{int(is_sampled)}"
    consumer = TracingConsumer()
    await process(FakeChannel(), consumer, build_message(traceparent=traceparent))
    if not is_sampled:
        assert (consumer.traceparents, exporter.get_finished_spans()) == ([traceparent], ())
        return
    (span,) = exporter.get_finished_spans()
    assert span.context is not None
    assert span.parent is not None
    assert consumer.traceparents == [f"00-{trace_id}-{span.context.span_id:016x}-01"]
    assert [f"{each.span_id:016x}" for each in (span.parent, span.links[0].context)] == [producer_id] * 2
