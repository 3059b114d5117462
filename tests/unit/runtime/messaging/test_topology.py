"""Declaration of exchanges and queues, recorded by a fake channel."""

from collections.abc import Mapping

import pytest

from generated.events import EVENTS
from services.runtime.messaging import topology
from services.runtime.messaging.events import EXCHANGE
from services.runtime.messaging.topology import (
    QUEUES,
    QUEUES_TO_DELETE,
    RETRY_DELAYS_S,
    RETRY_QUEUES,
    QueueArgumentMismatch,
    get_dead_letter_queue,
    get_retry_exchange,
)


class Recorder:
    """Records declarations in order; the declaration of a queue in `mismatched` fails and closes its channel."""

    def __init__(self, *mismatched: str) -> None:
        self.mismatched = mismatched
        self.exchanges: dict[str, str] = {}
        self.queues: dict[str, Mapping[str, object]] = {}
        self.bindings: set[tuple[str, str, str]] = set()
        self.deleted: list[str] = []
        self.opened = 0
        self.open_channels = 0

    async def open_channel(self) -> "RecordingChannel":
        self.opened += 1
        self.open_channels += 1
        return RecordingChannel(self)


class RecordingChannel:
    """Channel of a recorder. Bindings need declared exchanges and queues, as at a broker."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._is_open = True

    async def declare_exchange(self, name: str, exchange_type: str) -> None:
        self._require_open()
        self._recorder.exchanges[name] = exchange_type

    async def declare_queue(self, name: str, arguments: Mapping[str, object]) -> None:
        self._require_open()
        if name in self._recorder.mismatched:
            self.close()
            raise QueueArgumentMismatch(name)
        self._recorder.queues[name] = arguments

    async def bind(self, queue: str, exchange: str, routing_key: str) -> None:
        self._require_open()
        assert queue in self._recorder.queues
        assert exchange in self._recorder.exchanges
        self._recorder.bindings.add((queue, exchange, routing_key))

    async def bind_exchange(self, destination: str, source: str, routing_key: str) -> None:
        self._require_open()
        assert {destination, source} <= self._recorder.exchanges.keys()
        self._recorder.bindings.add((destination, source, routing_key))

    async def delete_queue(self, name: str) -> None:
        self._require_open()
        self._recorder.deleted.append(name)

    def close(self) -> None:
        self._require_open()
        self._is_open = False
        self._recorder.open_channels -= 1

    def _require_open(self) -> None:
        assert self._is_open, "channel is closed"


async def declare(*mismatched: str) -> Recorder:
    recorder = Recorder(*mismatched)
    await topology.declare(recorder.open_channel)
    assert recorder.open_channels == 0, "a channel is left open"
    return recorder


async def test_every_event_is_routed_to_its_queues() -> None:
    recorder = await declare()
    assert recorder.exchanges[EXCHANGE] == "topic"
    for event in EVENTS.values():
        assert {queue for queue, exchange, key in recorder.bindings if (exchange, key) == (EXCHANGE, event.type)} == {
            *event.all_queues
        }


async def test_priority_queue_selects_events_by_headers() -> None:
    recorder = await declare()
    priority_queues = {event.priority_queue for event in EVENTS.values() if event.priority_queue}
    assert priority_queues
    assert {name for name, exchange_type in recorder.exchanges.items() if exchange_type == "headers"} == priority_queues
    assert priority_queues <= recorder.queues.keys()


@pytest.mark.parametrize("queue", QUEUES)
async def test_queue_dead_letters_to_a_declared_queue_without_loss(queue: str) -> None:
    recorder = await declare()
    arguments = recorder.queues[queue]
    assert arguments["x-dead-letter-exchange"] == ""
    assert arguments["x-dead-letter-routing-key"] == get_dead_letter_queue(queue) == f"{queue}.dead"
    assert arguments["x-dead-letter-strategy"] == "at-least-once"
    assert arguments["x-overflow"] == "reject-publish", "at-least-once dead-lettering requires it"
    assert arguments["x-delivery-limit"] == 20
    assert recorder.queues[get_dead_letter_queue(queue)] == {"x-delivery-limit": 1_000_000_000}


@pytest.mark.parametrize("delay_s", RETRY_DELAYS_S)
async def test_retry_queue_returns_messages_after_its_delay(delay_s: int) -> None:
    recorder = await declare()
    name = get_retry_exchange(delay_s)
    assert recorder.exchanges[name] == "fanout"
    assert (name, name, "") in recorder.bindings
    arguments = recorder.queues[name]
    assert arguments["x-message-ttl"] == delay_s * 1000
    assert arguments["x-dead-letter-exchange"] == ""
    assert "x-dead-letter-routing-key" not in arguments, "the routing key of the message remains its queue"


async def test_dead_letter_queue_of_earlier_release_is_left_unchanged() -> None:
    mismatched = (get_dead_letter_queue(QUEUES[0]), get_dead_letter_queue(QUEUES[-1]))
    recorder = await declare(*mismatched)
    assert recorder.opened == 2 + len(mismatched), "the broker closes the channel of a failed declaration"
    assert {get_dead_letter_queue(queue) for queue in QUEUES} - recorder.queues.keys() == {*mismatched}
    assert recorder.queues.keys() >= {*QUEUES, *RETRY_QUEUES}


async def test_other_queue_with_other_arguments_fails() -> None:
    recorder = Recorder(QUEUES[0])
    with pytest.raises(QueueArgumentMismatch):
        await topology.declare(recorder.open_channel)


async def test_unused_queues_are_deleted() -> None:
    recorder = await declare()
    assert tuple(recorder.deleted) == QUEUES_TO_DELETE
    assert not {*QUEUES_TO_DELETE} & {*QUEUES, *RETRY_QUEUES}


def test_retry_delays_increase() -> None:
    assert list(RETRY_DELAYS_S) == sorted({*RETRY_DELAYS_S})
    assert tuple(f"delivery.retry.{delay_s}s" for delay_s in RETRY_DELAYS_S) == RETRY_QUEUES
