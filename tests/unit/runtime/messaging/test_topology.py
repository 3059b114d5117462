"""Declaration of the queues of each service, recorded by a fake channel."""

import asyncio
from collections.abc import Collection, Mapping
from itertools import groupby

import pytest

from deploy.local.mesh_config import SERVICES
from generated import mesh
from generated.events import EVENTS
from services.runtime.messaging import topology
from services.runtime.messaging.topology import (
    QUEUES,
    RETRY_DELAYS_S,
    RETRY_QUEUES,
    QueueArgumentMismatch,
    QueueMissing,
    get_dead_letter_queue,
    get_owner,
    get_queue_exchange,
    get_retry_exchange,
)
from tests.metric_values import read_metric


class Recorder:
    """Records declarations in order; the declaration of a queue in `mismatched` fails and closes its channel.

    All queues exist, except those in `missing` until they are declared.
    """

    def __init__(self, *mismatched: str, missing: Collection[str] = ()) -> None:
        self.mismatched = mismatched
        self.missing = missing
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
    """Channel of a recorder. Bindings need declared queues, as at a broker, unless they exist with other arguments."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._is_open = True

    async def count_messages(self, queue: str) -> int:
        self._require_open()
        if queue in self._recorder.missing and queue not in self._recorder.queues:
            self.close()
            raise QueueMissing(queue)
        return 0

    async def declare_queue(self, name: str, arguments: Mapping[str, object]) -> None:
        self._require_open()
        if name in self._recorder.mismatched:
            self.close()
            raise QueueArgumentMismatch(name)
        self._recorder.queues[name] = arguments

    async def bind(self, queue: str, exchange: str, routing_key: str) -> None:
        self._require_open()
        assert queue in (*self._recorder.queues, *self._recorder.mismatched)
        self._recorder.bindings.add((queue, exchange, routing_key))

    async def delete_queue(self, name: str) -> None:
        self._require_open()
        self._recorder.deleted.append(name)

    def close(self) -> None:
        self._require_open()
        self._is_open = False
        self._recorder.open_channels -= 1

    def _require_open(self) -> None:
        assert self._is_open, "channel is closed"


async def declare(service: str, *mismatched: str) -> Recorder:
    recorder = Recorder(*mismatched)
    await topology.declare(service, recorder.open_channel)
    assert recorder.open_channels == 0, "a channel is left open"
    return recorder


async def declare_all() -> Recorder:
    """Return the declarations of all services."""
    recorder = Recorder()
    for service in SERVICES:
        await topology.declare(service, recorder.open_channel)
    return recorder


async def test_every_event_is_routed_to_its_queues() -> None:
    recorder = await declare_all()
    for event in EVENTS.values():
        assert {
            queue for queue, exchange, key in recorder.bindings if (exchange, key) == (event.exchange, event.type)
        } == {*event.queues}


@pytest.mark.parametrize("service", SERVICES)
async def test_service_declares_its_own_queues_only(service: str) -> None:
    recorder = await declare(service)
    own = {name for name in (*QUEUES, *RETRY_QUEUES) if get_owner(name) == service}
    assert {name for name in recorder.queues if not name.endswith(".dead")} == own
    assert {*map(get_owner, recorder.queues)} <= {service}


async def test_service_without_queues_opens_no_channel() -> None:
    assert (await declare("gateway")).opened == 0


async def test_all_queues_of_the_contract_are_declared() -> None:
    declared = (await declare_all()).queues
    assert declared.keys() == {*QUEUES, *RETRY_QUEUES, *map(get_dead_letter_queue, QUEUES)}
    assert {each["x-queue-type"] for each in declared.values()} == {"quorum"}


@pytest.mark.parametrize("queue", QUEUES)
async def test_queue_dead_letters_to_a_declared_queue_without_loss(queue: str) -> None:
    recorder = await declare(get_owner(queue))
    arguments, dead_letter_queue = recorder.queues[queue], get_dead_letter_queue(queue)
    assert arguments["x-dead-letter-exchange"] == get_queue_exchange(queue)
    assert arguments["x-dead-letter-routing-key"] == dead_letter_queue == f"{queue}.dead"
    assert (dead_letter_queue, get_queue_exchange(queue), dead_letter_queue) in recorder.bindings
    assert arguments["x-dead-letter-strategy"] == "at-least-once"
    assert arguments["x-overflow"] == "reject-publish", "at-least-once dead-lettering requires it"
    assert arguments["x-delivery-limit"] == 20
    assert recorder.queues[dead_letter_queue]["x-delivery-limit"] == 1_000_000_000


@pytest.mark.parametrize("delay_s", RETRY_DELAYS_S)
@pytest.mark.parametrize("queue", QUEUES)
async def test_retry_queue_returns_messages_after_its_delay(queue: str, delay_s: int) -> None:
    recorder = await declare(get_owner(queue))
    name = get_retry_exchange(queue, delay_s)
    assert (name, name, "#") in recorder.bindings
    arguments = recorder.queues[name]
    assert arguments["x-message-ttl"] == delay_s * 1000
    assert arguments["x-dead-letter-exchange"] == get_queue_exchange(queue)
    assert "x-dead-letter-routing-key" not in arguments, "the routing key of the message remains its queue"
    assert (queue, get_queue_exchange(queue), queue) in recorder.bindings


async def test_dead_letter_queue_of_earlier_release_is_left_unchanged() -> None:
    queues = [queue for queue in QUEUES if get_owner(queue) == "notifications"]
    mismatched = (get_dead_letter_queue(queues[0]), get_dead_letter_queue(queues[-1]))
    recorder = await declare("notifications", *mismatched)
    assert recorder.opened == 2 + len(mismatched), "the broker closes the channel of a failed declaration"
    assert {*map(get_dead_letter_queue, queues)} - recorder.queues.keys() == {*mismatched}
    assert recorder.queues.keys() >= {*queues}


async def test_other_queue_with_other_arguments_fails() -> None:
    recorder = Recorder(QUEUES[0])
    with pytest.raises(QueueArgumentMismatch):
        await topology.declare(get_owner(QUEUES[0]), recorder.open_channel)


async def test_missing_queues_are_counted_and_declared_after_delay(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    missing = ("orders.history", get_dead_letter_queue("orders.history"))
    before = [read_metric("delivery_queues_missing_total", queue=queue) for queue in missing]
    recorder = Recorder(missing=missing)
    declared_before_delay: list[str] = []

    async def sleep(delay_s: float) -> None:
        assert delay_s == topology.RESTORE_DELAY_S
        declared_before_delay.extend(recorder.queues)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    await topology.declare("orders", recorder.open_channel)
    assert declared_before_delay == []
    assert recorder.queues.keys() >= {*missing}
    assert recorder.open_channels == 0
    after = [read_metric("delivery_queues_missing_total", queue=queue) for queue in missing]
    assert after == [count + 1 for count in before]
    assert "queues orders.history, orders.history.dead are missing; declaring them in 5.0 s" in caplog.text


async def test_queue_is_bound_before_the_next_one_is_declared() -> None:
    calls: list[str] = []

    class OrderedChannel(RecordingChannel):
        async def declare_queue(self, name: str, arguments: Mapping[str, object]) -> None:
            calls.append(name)

        async def bind(self, queue: str, exchange: str, routing_key: str) -> None:
            calls.append(queue)

    async def open_channel() -> OrderedChannel:
        return OrderedChannel(Recorder())

    await topology.declare("orders", open_channel)
    assert len([queue for queue, _ in groupby(calls)]) == len({*calls}), "a relay may publish to a queue that exists"


async def test_existing_queues_are_only_bound_again() -> None:
    declared = await declare("orders")
    recorder = Recorder(*declared.queues)
    await topology.declare_missing("orders", recorder.open_channel)
    assert (recorder.queues, recorder.bindings) == ({}, declared.bindings)
    assert recorder.open_channels == 0


async def test_all_queues_are_declared_again_if_one_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topology, "RESTORE_DELAY_S", 0.0)
    declared = await declare("orders")
    recorder = Recorder(missing=["orders.history"])
    await topology.declare_missing("orders", recorder.open_channel)
    assert (recorder.queues, recorder.bindings) == (declared.queues, declared.bindings)
    assert recorder.open_channels == 0


async def test_check_for_missing_queues_without_any_opens_no_channel() -> None:
    recorder = Recorder()
    await topology.declare_missing("gateway", recorder.open_channel)
    assert recorder.opened == 0


async def test_unused_queues_are_deleted_by_their_service() -> None:
    assert tuple((await declare("notifications")).deleted) == mesh.OBSOLETE_QUEUES
    assert (await declare("orders")).deleted == []
    assert not {*mesh.OBSOLETE_QUEUES} & {*QUEUES, *RETRY_QUEUES}


def test_retry_delays_increase() -> None:
    assert RETRY_DELAYS_S == (1, 5, 30, 120)
    assert {get_retry_exchange(queue, delay_s) for queue in QUEUES for delay_s in RETRY_DELAYS_S} == {*RETRY_QUEUES}
