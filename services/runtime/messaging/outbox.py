"""Transactional outbox: events are inserted in the transaction of their change, published by a relay, then deleted.

A crash between commit and publish leaves the row in the table. A crash between publish and delete publishes the event
again, with the same id.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import uuid4

from psycopg.types.json import Jsonb
from sqlalchemy import (
    ARRAY,
    CTE,
    BigInteger,
    Column,
    FromClause,
    Identity,
    LargeBinary,
    MetaData,
    Table,
    Text,
    bindparam,
    delete,
    insert,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB

from services.runtime.concurrency.periodic import compute_delay_s, run_periodically
from services.runtime.core.errors import ApiError
from services.runtime.messaging import metrics, topology
from services.runtime.messaging.channel import BrokerUnavailable, Channel, MessageUnroutable
from services.runtime.messaging.connection import Broker
from services.runtime.messaging.events import Envelope, EventType
from services.runtime.messaging.routing_check import RoutingCheck
from services.runtime.storage.database import Database
from services.runtime.storage.statements.statement import TIMESTAMPTZ, Statement
from services.runtime.storage.transactions.transaction import Transaction
from services.runtime.telemetry import tracing

log = logging.getLogger(__name__)

BATCH_SIZE = 500
"""Maximum rows per batch; publishing with a confirm per row would be twenty times slower."""

MAX_IN_FLIGHT_BATCHES = 2
"""Concurrent batches of a backlog: one is read and published while the broker confirms the other."""

RELAY_INTERVAL_S = 0.05
"""Default interval of polls after insertions, since publishing one event costs as much as publishing ten.

An event is published without delay if none was published within this time.
"""

POLL_INTERVAL_S = 5.0
"""Seconds between polls without an insertion, for rows of other processes that these have not published."""

DECLARE_INTERVAL_S = 60.0
"""Seconds between declarations of the service's queues and bindings, which restore those that were deleted."""

RETRY_INTERVAL_S = 1.0
"""Seconds until the next poll after the database was unavailable."""

SETTINGS_WITH_RELAY = {"outbox.notify": "off"}
"""Settings of a `Database` with a relay, which disable the notification of relays of earlier releases.

Insertions wake up the relay of their own process.
"""


def define_outbox_table(metadata: MetaData) -> Table:
    """Define the outbox table, which every service's database has."""
    return Table(
        "outbox",
        metadata,
        Column("id", BigInteger, Identity(always=True), primary_key=True),
        Column("event_id", Text, nullable=False),
        Column("type", Text, nullable=False),
        Column("subject", Text, nullable=False),
        Column("payload", LargeBinary, nullable=False),
        Column("trace", JSONB, nullable=False),
        Column("at", TIMESTAMPTZ, nullable=False),
    )


_table = define_outbox_table(MetaData())
EVENT_COLUMNS = tuple(column for column in _table.c if column is not _table.c.id)
"""Columns of an event to publish."""

_INSERT = Statement(insert(_table).values({column.name: bindparam(column.name) for column in EVENT_COLUMNS}))


class _PendingEvent(NamedTuple):
    id: int
    event_id: str
    type: str
    subject: str
    payload: bytes
    trace: dict[str, str]
    at: datetime


_oldest_rows = (
    select(_table.c.id)
    .where(_table.c.type != bindparam("held_types", type_=ARRAY(Text)).all_())
    .order_by(_table.c.id)
    .limit(bindparam("batch"))
    .with_for_update(skip_locked=True)
    .cte("oldest")
)
_CLAIM = Statement(delete(_table).where(_table.c.id == _oldest_rows.c.id).returning(_table), row_type=_PendingEvent)
"""Deletes the oldest unlocked rows of types that are not held.

The transaction commits after the broker has confirmed their events.
"""

_SELECT_PENDING = Statement(select(_table.c.id).order_by(_table.c.id).limit(1))
"""Finds an event for a poll in one round trip. The transaction of a claim takes three."""


def _to_insert_row(row: _PendingEvent) -> Mapping[str, object]:
    values = row._asdict() | {"trace": Jsonb(row.trace)}
    del values["id"]
    return values


def build_publication(events: FromClause) -> CTE:
    """Build the expression that publishes events with the columns `EVENT_COLUMNS`, which may be of several traces."""
    rows = select(*(events.c[column.name] for column in EVENT_COLUMNS))
    return insert(_table).from_select([column.name for column in EVENT_COLUMNS], rows).cte("published")


class Outbox[Event]:
    """Outbox of a service; `Event` is the union of the events that it may publish by the contract."""

    def __init__(self, event_types: dict[type[Any], EventType[Any]]) -> None:
        self._event_types = event_types

    def add(self, transaction: Transaction, event: Event, event_id: str | None = None) -> None:
        """Insert the event with the current trace context. It is published after the transaction commits.

        An event that may be added repeatedly needs a stable `event_id`, by which consumers deduplicate it.
        """
        transaction.defer(_INSERT, **self.to_row(event, event_id))

    def to_row(self, event: Event, event_id: str | None = None) -> Mapping[str, object]:
        """Return the event as a row of `EVENT_COLUMNS`, with the current trace context."""
        event_type = self._event_types[type(event)]
        return {
            "event_id": event_id or str(uuid4()),
            "type": event_type.type,
            "subject": event_type.subject(event),
            "payload": event_type.encode(event),
            "trace": Jsonb(tracing.get_context_headers()),
            "at": datetime.now(UTC),
        }


class Relay:
    """Publishes pending events, those of its own `Database` at once.

    Several relays may run concurrently: a relay locks the rows that it publishes. It polls for those of processes that
    run no relay, or that cannot reach the broker or have crashed. Polls after insertions are at least `interval_s`
    apart.
    """

    def __init__(self, service: str, database: Database, broker: Broker, interval_s: float = RELAY_INTERVAL_S) -> None:
        self._service = service
        self._source = f"/{service}"
        self._database = database
        self._broker = broker.create_separate_broker()
        self._interval_s = interval_s
        self._routing_check = RoutingCheck[_PendingEvent]()
        self._has_new_events = asyncio.Event()
        database.set_insertion_hook(_table.name, self._has_new_events.set)
        self._channel: Channel | None = None

    async def run(self) -> None:
        """Publish events until cancelled; retry while the database or the broker is unavailable.

        The queues of the service are declared periodically, since events of other services are published to them.
        """
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._broker.run_with_reconnect(self._publish_loop), name="outbox-relay")
            tasks.create_task(
                run_periodically(DECLARE_INTERVAL_S, "declaring queues", self._declare_missing), name="topology"
            )

    async def _declare_missing(self) -> int:
        """Declare missing queues and bindings of the service, as a new connection does.

        Returns 0 for `run_periodically`, since none is left.
        """
        if self._channel is not None:
            try:
                await topology.declare_missing(self._service, self._channel.open_sibling)
            except BrokerUnavailable as error:
                log.warning("topology not declared: broker unavailable: %s; retrying after the interval", error)
        return 0

    async def _publish_loop(self, channel: Channel) -> None:
        self._channel = channel
        try:
            await self._publish_until_lost(channel)
        finally:
            self._channel = None

    async def _publish_until_lost(self, channel: Channel) -> None:
        await self._check_routing(channel)
        loop = asyncio.get_running_loop()
        while True:
            if self._routing_check.is_due:
                await self._check_routing(channel)
            is_poll = not self._has_new_events.is_set()
            self._has_new_events.clear()
            started_at = loop.time()
            try:
                if not is_poll or await self._database.fetch_one(_SELECT_PENDING) is not None:
                    await self._publish_pending(channel)
            except ApiError:
                log.warning("reading the outbox failed: database unavailable; retrying")
                delay_s = RETRY_INTERVAL_S
            else:
                delay_s = compute_delay_s(POLL_INTERVAL_S)
            if self._routing_check.is_due:
                continue
            try:
                async with asyncio.timeout(min(delay_s, self._routing_check.seconds_until_due)):
                    await channel.wait_while_connected(self._has_new_events)
            except TimeoutError:
                continue
            await asyncio.sleep(started_at + self._interval_s - loop.time())

    async def _check_routing(self, channel: Channel) -> None:
        """Insert events again that did not reach each of their queues; they are held until these exist."""
        held_before = self._routing_check.held_types
        missing = await self._routing_check.find_missing_queues(channel.open_sibling)
        await self._insert_unrouted()
        if missing and self._routing_check.held_types != held_before:
            held = ", ".join(self._routing_check.held_types)
            log.error("queues %s are missing; events %s wait in the outbox", ", ".join(missing), held)

    async def _insert_unrouted(self) -> None:
        unrouted = self._routing_check.unrouted
        if not (rows := tuple(unrouted)):
            return
        try:
            async with self._database.transaction() as transaction:
                await transaction.execute_many(_INSERT, [_to_insert_row(row) for row in rows])
        except ApiError as error:
            log.warning("unrouted events not inserted again: %s; retrying", error)
            return
        del unrouted[: len(rows)]
        _report_unroutable(rows)

    async def _publish_pending(self, channel: Channel) -> None:
        claim_lock = asyncio.Lock()
        if not await self._publish_batch(channel, claim_lock):
            return
        finished = False

        async def publish_batches() -> None:
            nonlocal finished
            try:
                while not (finished or self._routing_check.is_due) and await self._publish_batch(channel, claim_lock):
                    pass
            finally:
                finished = True

        # If one batch fails, the other is completed, so that its confirmed events are not published again.
        workers = (publish_batches() for _ in range(MAX_IN_FLIGHT_BATCHES))
        for error in await asyncio.gather(*workers, return_exceptions=True):
            if error is not None:
                raise error

    async def _publish_batch(self, channel: Channel, claim_lock: asyncio.Lock) -> bool:
        """Publish one batch. Return whether it was full.

        Rows are claimed and published under the lock, which preserves their order unless a batch fails.
        Events of held types stay pending. Events that reached no queue are inserted again; after the commit,
        MessageUnroutable is raised for them.
        """
        async with self._database.transaction() as transaction:
            async with claim_lock:
                held_types = self._routing_check.held_types
                rows = sorted(await transaction.fetch_all(_CLAIM, batch=BATCH_SIZE, held_types=held_types))
                confirmed = channel.publish(
                    Envelope(row.event_id, self._source, row.type, row.subject, row.at, row.trace, row.payload)
                    for row in rows
                )
            returned_ids = await confirmed
            returned = [row for row in rows if row.event_id in returned_ids]
            if returned:
                await transaction.execute_many(_INSERT, [_to_insert_row(row) for row in returned])
        published = [row for row in rows if row not in returned]
        self._routing_check.add(published)
        for event_type, count in Counter(row.type for row in published).items():
            metrics.count_sent(event_type, count)
        if returned:
            self._routing_check.add_unroutable(returned)
            _report_unroutable(returned)
            raise MessageUnroutable(f"{len(returned)} events reached no queue")
        return len(rows) == BATCH_SIZE


def _report_unroutable(rows: Iterable[_PendingEvent]) -> None:
    for event_type, count in Counter(row.type for row in rows).items():
        metrics.count_unroutable(event_type, count)
        log.error("%d events %s unroutable: a queue is missing; publishing again when it exists", count, event_type)
