"""Outbox rows, and batches of the relay with a fake database and a fake channel."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Set
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from opentelemetry.trace import SpanKind
from sqlalchemy import literal, select

from generated.events import EVENTS, ORDER_CREATED, USER_DELETED
from generated.problems import Reason
from generated.proto.delivery.events.v1 import OrderPaid, OrderSnapshot, UserDeleted
from services.runtime.core.errors import ApiError
from services.runtime.messaging import outbox, routing_check
from services.runtime.messaging.channel import BrokerUnavailable, Channel, MessageUnroutable
from services.runtime.messaging.connection import Broker
from services.runtime.messaging.events import Envelope
from services.runtime.messaging.outbox import Outbox, Relay
from services.runtime.messaging.topology import QueueMissing
from services.runtime.storage.database import Database
from services.runtime.storage.statements.row_parameters import build_rows
from services.runtime.storage.statements.statement import Statement
from services.runtime.storage.transactions.transaction import Transaction
from services.runtime.telemetry import tracing
from tests.integration.fixtures.background_tasks import run_in_background
from tests.wait import wait_until_async

BATCH_SIZE = 3
TRACE_CONTEXT = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}


def build_row(row_id: int, event_type: str = USER_DELETED.type) -> outbox._PendingEvent:
    payload = USER_DELETED.encode(UserDeleted(user_id=str(row_id)))
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return outbox._PendingEvent(row_id, f"e{row_id}", event_type, str(row_id), payload, TRACE_CONTEXT, at)


class FakeTable:
    """Database whose transactions claim rows in reverse order; rows of a failed transaction are released."""

    def __init__(self, row_ids: Iterable[int]) -> None:
        self.row_ids = [*row_ids]
        self.types: dict[int, str] = {}
        self.url = "postgresql://database.test/orders"
        self.error: Exception | None = None
        self.report_insertion: Callable[[], None] = lambda: None
        self.transactions = 0
        self.polls = 0

    def set_insertion_hook(self, table: str, hook: Callable[[], None]) -> None:
        assert table == "outbox"
        self.report_insertion = hook

    async def fetch_one(self, _: object) -> int | None:
        self.polls += 1
        if self.error is not None:
            raise self.error
        return self.row_ids[0] if self.row_ids else None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["FakeTransaction"]:
        if self.error is not None:
            raise self.error
        self.transactions += 1
        transaction = FakeTransaction(self)
        try:
            yield transaction
        except BaseException:
            self.row_ids = sorted([*self.row_ids, *transaction.claimed])
            raise


class FakeTransaction:
    """Transaction that claims the oldest rows and records inserted ones."""

    def __init__(self, table: FakeTable | None = None) -> None:
        self._table = table
        self.claimed: list[int] = []
        self.inserted: list[Any] = []

    async def fetch_all(self, _: object, *, batch: int, held_types: Collection[str]) -> list[outbox._PendingEvent]:
        assert self._table is not None
        rows = [build_row(each, self._table.types.get(each, USER_DELETED.type)) for each in self._table.row_ids]
        claimed = [row for row in rows if row.type not in held_types][:batch]
        self.claimed = [row.id for row in claimed]
        self._table.row_ids = [row_id for row_id in self._table.row_ids if row_id not in self.claimed]
        return claimed[::-1]

    def defer(self, _: object, **row: Any) -> None:
        self.inserted.append(row)

    async def execute_many(self, _: object, rows: list[Any]) -> None:
        self.inserted += rows
        if self._table is not None:
            self._table.row_ids += [int(row["subject"]) for row in rows]


class FakeChannel:
    """Records batches of events; returns `returned_ids`, and confirms all except the batch number `failing_batch`.

    `missing_queue` does not exist.
    """

    def __init__(
        self, failing_batch: int | None = None, returned_ids: Set[str] = frozenset(), missing_queue: str = ""
    ) -> None:
        self.batches: list[list[Envelope]] = []
        self.missing_queue = missing_queue
        self._returned_ids = returned_ids
        self._failing_batch = failing_batch

    def publish(self, envelopes: Iterable[Envelope]) -> Awaitable[Set[str]]:
        self.batches.append([*envelopes])
        return self._confirm(len(self.batches))

    async def open_sibling(self) -> "FakeChannel":
        return self

    def close(self) -> None: ...

    async def count_messages(self, queue: str) -> int:
        if queue == self.missing_queue:
            raise QueueMissing(queue)
        return 0

    async def wait_while_connected(self, event: asyncio.Event) -> None:
        await event.wait()

    async def _confirm(self, batch: int) -> Set[str]:
        await asyncio.sleep(0)
        if batch == self._failing_batch:
            raise BrokerUnavailable("nacked")
        return self._returned_ids

    @property
    def event_ids(self) -> list[str]:
        return [envelope.id for batch in self.batches for envelope in batch]


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "BATCH_SIZE", BATCH_SIZE)


@pytest.fixture
def _frequent_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routing_check, "CHECK_INTERVAL_S", 0.05)


def create_relay(table: FakeTable, interval_s: float = outbox.RELAY_INTERVAL_S) -> Relay:
    return Relay("orders", cast(Database, table), Broker("amqp://broker.test", "test"), interval_s)


def list_ids(row_ids: Iterable[int]) -> list[str]:
    return [f"e{row_id}" for row_id in row_ids]


def test_row_contains_event_and_trace_context() -> None:
    event = OrderPaid(order=OrderSnapshot(order_id="o1"), payment_id="p1")
    with tracing.attach_context(TRACE_CONTEXT):
        row = Outbox[OrderPaid](EVENTS).to_row(event)
    assert (row["type"], row["subject"]) == ("orders.paid", "o1")
    assert EVENTS[OrderPaid].decode(cast(bytes, row["payload"])) == event
    assert cast(Any, row["trace"]).obj == TRACE_CONTEXT
    assert cast(datetime, row["at"]).tzinfo is UTC


def test_row_outside_a_trace_has_no_trace_context() -> None:
    assert cast(Any, Outbox[UserDeleted](EVENTS).to_row(UserDeleted())["trace"]).obj == {}


def test_event_id_is_unique_unless_given() -> None:
    outbox_of_users = Outbox[UserDeleted](EVENTS)
    event = UserDeleted(user_id="ada")
    assert outbox_of_users.to_row(event)["event_id"] != outbox_of_users.to_row(event)["event_id"]
    assert outbox_of_users.to_row(event, "stable")["event_id"] == "stable"


async def test_events_are_inserted_in_the_transaction() -> None:
    transaction = FakeTransaction()
    outbox_of_users = Outbox[UserDeleted](EVENTS)
    for name in "ab":
        outbox_of_users.add(cast(Transaction, transaction), UserDeleted(user_id="ada"), name)
    assert [row["event_id"] for row in transaction.inserted] == ["a", "b"]


def test_publication_inserts_the_columns_of_an_event() -> None:
    events = outbox.build_publication(build_rows("events", outbox.EVENT_COLUMNS))
    sql = " ".join(Statement(select(literal(1)).add_cte(events)).sql.decode().split())
    row = Outbox[UserDeleted](EVENTS).to_row(UserDeleted())
    assert (
        f"INSERT INTO outbox ({', '.join(row)}) SELECT {', '.join(f'events.{name} AS {name}' for name in row)}" in sql
    )


async def test_unregistered_event_is_rejected() -> None:
    with pytest.raises(KeyError):
        Outbox[Any]({}).to_row(UserDeleted())


async def test_published_envelope_has_the_row_and_the_service() -> None:
    channel = FakeChannel()
    await create_relay(FakeTable([1]))._publish_pending(cast(Channel, channel))
    ((envelope,),) = channel.batches
    row = build_row(1)
    assert envelope == Envelope(row.event_id, "/orders", row.type, row.subject, row.at, row.trace, row.payload)


@pytest.mark.parametrize("count", [0, 1, BATCH_SIZE - 1, BATCH_SIZE, BATCH_SIZE + 1, 5 * BATCH_SIZE + 1])
async def test_backlog_is_published_in_order_and_removed(count: int) -> None:
    table, channel = FakeTable(range(1, count + 1)), FakeChannel()
    await create_relay(table)._publish_pending(cast(Channel, channel))
    assert channel.event_ids == list_ids(range(1, count + 1))
    assert max(map(len, channel.batches)) <= BATCH_SIZE
    assert table.row_ids == []


async def test_short_batch_ends_the_poll_without_another_query() -> None:
    table = FakeTable([1])
    await create_relay(table)._publish_pending(cast(Channel, FakeChannel()))
    assert table.transactions == 1


async def test_event_after_pause_is_published_at_once_and_later_ones_together() -> None:
    table, channel = FakeTable([1]), FakeChannel()
    relay = create_relay(table, interval_s=0.2)
    loop = asyncio.get_running_loop()
    async with run_in_background(relay._publish_loop(cast(Channel, channel))):
        started_at = loop.time()
        await wait_until_async(lambda: channel.event_ids == ["e1"], interval_s=0)
        assert loop.time() - started_at < 0.1
        for row_id in (2, 3):
            table.row_ids.append(row_id)
            table.report_insertion()
            await asyncio.sleep(0.02)
        await wait_until_async(lambda: channel.event_ids == ["e1", "e2", "e3"], interval_s=0)
        assert loop.time() - started_at >= 0.2
    assert [[envelope.id for envelope in batch] for batch in channel.batches if batch] == [["e1"], ["e2", "e3"]]


async def test_poll_without_events_begins_no_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "POLL_INTERVAL_S", 0.001)
    table, channel = FakeTable([]), FakeChannel()
    async with run_in_background(create_relay(table)._publish_loop(cast(Channel, channel))):
        await wait_until_async(lambda: table.polls >= 2, interval_s=0)
        assert table.transactions == 0
        table.row_ids.append(1)  # of another process, which does not notify this one
        await wait_until_async(lambda: channel.event_ids == ["e1"], interval_s=0)


async def test_failed_poll_is_retried_after_the_whole_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "compute_delay_s", lambda _: 0.0)
    table = FakeTable([1])
    table.error = ApiError(Reason.UPSTREAM_UNAVAILABLE)
    async with run_in_background(create_relay(table)._publish_loop(cast(Channel, FakeChannel()))):
        await wait_until_async(lambda: table.polls >= 1, interval_s=0)
        for _ in range(10):
            await asyncio.sleep(0)
        assert table.polls == 1


async def test_relay_declares_no_queues_on_a_lost_channel() -> None:
    relay, channel = create_relay(FakeTable([1])), FakeChannel(failing_batch=1)
    with pytest.raises(BrokerUnavailable):
        await relay._publish_loop(cast(Channel, channel))
    assert await relay._declare_missing() == 0


@pytest.mark.parametrize("failing_batch", [1, 2, 3])
async def test_events_of_failed_batch_remain_pending(failing_batch: int) -> None:
    count = 4 * BATCH_SIZE
    table, channel = FakeTable(range(1, count + 1)), FakeChannel(failing_batch)
    with pytest.raises(BrokerUnavailable):
        await create_relay(table)._publish_pending(cast(Channel, channel))
    failed = channel.batches[failing_batch - 1]
    confirmed = {*channel.event_ids} - {envelope.id for envelope in failed}
    assert {*list_ids(table.row_ids)} == {*list_ids(range(1, count + 1))} - confirmed
    assert {envelope.id for envelope in failed} <= {*list_ids(table.row_ids)}


async def test_events_of_failed_batch_are_published_again_with_same_ids() -> None:
    table = FakeTable([1, 2])
    relay, channel = create_relay(table), FakeChannel(failing_batch=1)
    with pytest.raises(BrokerUnavailable):
        await relay._publish_pending(cast(Channel, channel))
    await relay._publish_pending(cast(Channel, channel))
    assert channel.event_ids == ["e1", "e2", "e1", "e2"]


async def test_event_without_queue_stays_pending_others_do_not() -> None:
    table = FakeTable([1, 2, 3])
    with pytest.raises(MessageUnroutable):
        await create_relay(table)._publish_pending(cast(Channel, FakeChannel(returned_ids={"e2"})))
    assert table.row_ids == [2]


async def test_events_are_pending_again_when_one_of_their_queues_is_missing() -> None:
    table, channel = FakeTable([1, 2]), FakeChannel(missing_queue=USER_DELETED.queues[0])
    relay = create_relay(table)
    await relay._publish_pending(cast(Channel, channel))
    assert table.row_ids == []
    await relay._check_routing(cast(Channel, channel))
    assert table.row_ids == [1, 2]
    await relay._publish_pending(cast(Channel, channel))
    assert (table.row_ids, channel.event_ids) == ([1, 2], ["e1", "e2"])
    channel.missing_queue = ""
    for _ in range(2):
        await relay._check_routing(cast(Channel, channel))
    await relay._publish_pending(cast(Channel, channel))
    assert channel.event_ids == ["e1", "e2", "e1", "e2"]


@pytest.mark.usefixtures("_frequent_checks")
async def test_events_with_existing_queues_do_not_wait_for_a_missing_one() -> None:
    table, channel = FakeTable([1]), FakeChannel(missing_queue=USER_DELETED.queues[0])
    table.types = dict.fromkeys((3, 4), ORDER_CREATED.type)
    assert USER_DELETED.queues[0] not in ORDER_CREATED.queues
    relay = create_relay(table)
    await relay._publish_pending(cast(Channel, channel))
    async with run_in_background(relay._publish_loop(cast(Channel, channel))):
        await wait_until_async(lambda: table.row_ids == [1], interval_s=0)
        table.row_ids += [2, 3, 4]
        table.report_insertion()
        await wait_until_async(lambda: channel.event_ids == ["e1", "e3", "e4"], interval_s=0)
        assert table.row_ids == [1, 2]
        channel.missing_queue = ""
        await wait_until_async(lambda: channel.event_ids == ["e1", "e3", "e4", "e1", "e2"], interval_s=0)


async def test_type_of_unroutable_event_is_held_until_its_queue_exists() -> None:
    table, channel = FakeTable([1]), FakeChannel(returned_ids={"e1"}, missing_queue=USER_DELETED.queues[0])
    table.types = {2: ORDER_CREATED.type}
    relay = create_relay(table)
    with pytest.raises(MessageUnroutable):
        await relay._publish_pending(cast(Channel, channel))
    await relay._check_routing(cast(Channel, channel))
    table.row_ids.append(2)
    await relay._publish_pending(cast(Channel, channel))
    assert (table.row_ids, channel.event_ids) == ([1], ["e1", "e2"])


async def test_unrouted_events_are_inserted_when_the_database_is_available_again() -> None:
    table, channel = FakeTable([1]), FakeChannel(missing_queue=USER_DELETED.queues[0])
    relay = create_relay(table)
    await relay._publish_pending(cast(Channel, channel))
    table.error, channel.missing_queue = ApiError(Reason.UPSTREAM_UNAVAILABLE), USER_DELETED.queues[0]
    await relay._check_routing(cast(Channel, channel))
    assert table.row_ids == []
    table.error, channel.missing_queue = None, ""
    await relay._check_routing(cast(Channel, channel))
    assert table.row_ids == [1]


async def test_due_check_interrupts_a_backlog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routing_check, "CHECK_INTERVAL_S", 0)
    table, channel = FakeTable(range(1, 4 * BATCH_SIZE)), FakeChannel()
    await create_relay(table)._publish_pending(cast(Channel, channel))
    assert len(channel.batches) == 1


async def test_unavailable_database_is_raised_to_the_loop() -> None:
    table = FakeTable([1])
    table.error = ApiError(Reason.UPSTREAM_UNAVAILABLE)
    with pytest.raises(ApiError):
        await create_relay(table)._publish_pending(cast(Channel, FakeChannel()))


async def test_trace_context_of_row_is_that_of_the_current_span(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "tracer", tracing.build_tracer_provider("test", "test", 100).get_tracer("test"))
    with tracing.start_span("confirm", SpanKind.SERVER, {}):
        expected = tracing.get_context_headers()
        assert cast(Any, Outbox[UserDeleted](EVENTS).to_row(UserDeleted())["trace"]).obj == expected
    assert "traceparent" in expected
