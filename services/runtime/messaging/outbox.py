"""Events leave in the transaction that made them true: written to a table, published by a relay, then deleted.

A crash between commit and publish leaves the row; one between publish and delete publishes again, with the same id.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import uuid4

import psycopg
from psycopg.types.json import Jsonb
from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
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

from services.runtime.core.errors import ApiError
from services.runtime.messaging.channel import Channel
from services.runtime.messaging.connection import Broker
from services.runtime.messaging.events import Envelope, EventType
from services.runtime.storage.database import Database, Statement, Transaction
from services.runtime.telemetry import metrics, tracing

log = logging.getLogger(__name__)

BATCH_SIZE = 500
"""Rows published per wait for confirms; one at a time would be twenty times slower."""

MAX_IN_FLIGHT_BATCHES = 2
"""Batches of a backlog at once: one is read and sent while the broker confirms another."""

POLL_INTERVAL_S = 5.0
"""Seconds between looks at the table when no notification comes, for rows another relay gave up."""

NOTIFY_CHANNEL = "outbox"


def define_outbox_table(metadata: MetaData) -> Table:
    """The same table in every service's database; its insert trigger notifies the channel `outbox`."""
    return Table(
        "outbox",
        metadata,
        Column("id", BigInteger, Identity(always=True), primary_key=True),
        Column("event_id", Text, nullable=False),
        Column("type", Text, nullable=False),
        Column("subject", Text, nullable=False),
        Column("payload", LargeBinary, nullable=False),
        Column("trace", JSONB, nullable=False),
        Column("at", DateTime(timezone=True), nullable=False),
    )


_table = define_outbox_table(MetaData())
_INSERT = Statement(
    insert(_table).values({name: bindparam(name) for name in ("event_id", "type", "subject", "payload", "trace", "at")})
)


class _PendingEvent(NamedTuple):
    id: int
    event_id: str
    type: str
    subject: str
    payload: bytes
    trace: dict[str, str]
    at: datetime


_oldest_rows = (
    select(_table.c.id).order_by(_table.c.id).limit(bindparam("batch")).with_for_update(skip_locked=True).cte("first")
)
_CLAIM = Statement(delete(_table).where(_table.c.id == _oldest_rows.c.id).returning(_table), row_type=_PendingEvent)
"""Out of the table, for good once the transaction commits: which is after the broker has confirmed."""


class Outbox[Event]:
    """Where a service's use cases put their events; `Event` is the union of those the contract lets it publish."""

    def __init__(self, event_types: dict[type[Any], EventType[Any]]) -> None:
        self._event_types = event_types

    async def add(self, transaction: Transaction, event: Event, event_id: str | None = None) -> None:
        """Writes the event with the current trace context; it leaves after the transaction has committed.

        An event that may have to be said again has an id of its own, by which its consumers know it.
        """
        await transaction.execute(_INSERT, **self.to_row(event, event_id))

    def to_row(self, event: Event, event_id: str | None = None) -> Mapping[str, object]:
        """The event as `add_rows` takes it, with the current trace context."""
        kind = self._event_types[type(event)]
        return {
            "event_id": event_id or str(uuid4()),
            "type": kind.type,
            "subject": kind.subject(event),
            "payload": kind.encode(event),
            "trace": Jsonb(tracing.get_context_headers()),
            "at": datetime.now(UTC),
        }

    async def add_many(self, transaction: Transaction, rows: Sequence[Mapping[str, object]]) -> None:
        """Writes events of several traces at once."""
        await transaction.execute_many(_INSERT, rows)


class Relay:
    """Publishes what waits in the table. Several may run: each row is locked by the one that publishes it."""

    def __init__(self, service: str, database: Database, broker: Broker) -> None:
        self._source = f"/{service}"
        self._database = database
        self._broker = broker
        self._wake_event = asyncio.Event()

    async def run(self) -> None:
        """Relays until cancelled, through outages of either side."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen_for_notifications(), name="outbox-listen")
            tasks.create_task(self._broker.run_with_reconnect(self._publish_loop), name="outbox-relay")

    async def _listen_for_notifications(self) -> None:
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(self._database.url, autocommit=True) as connection:
                    await connection.execute(f"LISTEN {NOTIFY_CHANNEL}")
                    self._wake_event.set()
                    async for _ in connection.notifies():
                        self._wake_event.set()
            except psycopg.OperationalError:
                log.warning("outbox notifications are away; the relay goes on by the clock")
                await asyncio.sleep(POLL_INTERVAL_S)

    async def _publish_loop(self, channel: Channel) -> None:
        while True:
            self._wake_event.clear()
            try:
                await self._publish_pending(channel)
            except ApiError:
                log.warning("the outbox cannot be read; trying again")
            try:
                async with asyncio.timeout(POLL_INTERVAL_S):
                    await channel.wait_while_connected(self._wake_event)
            except TimeoutError:
                continue

    async def _publish_pending(self, channel: Channel) -> None:
        turn = asyncio.Lock()
        if not await self._publish_batch(channel, turn):
            return
        over = False

        async def batches() -> None:
            nonlocal over
            try:
                while not over and await self._publish_batch(channel, turn):
                    pass
            finally:
                over = True

        # When one fails, the other is finished: what the broker has confirmed need not be sent again.
        ends = await asyncio.gather(*(batches() for _ in range(MAX_IN_FLIGHT_BATCHES)), return_exceptions=True)
        for error in ends:
            if error is not None:
                raise error

    async def _publish_batch(self, channel: Channel, claim_lock: asyncio.Lock) -> bool:
        """Whether it was a full one. What is taken and sent in turn leaves as it was written, unless one fails."""
        async with self._database.transaction() as transaction:
            async with claim_lock:
                rows = sorted(await transaction.fetch_all(_CLAIM, batch=BATCH_SIZE))
                confirmed = channel.publish_nowait(
                    Envelope(row.event_id, self._source, row.type, row.subject, row.at, row.trace, row.payload)
                    for row in rows
                )
            await confirmed
        for kind, number in Counter(row.type for row in rows).items():
            metrics.EVENTS_PUBLISHED.add(number, {"event": metrics.normalise_event_type(kind)})
        return len(rows) == BATCH_SIZE
