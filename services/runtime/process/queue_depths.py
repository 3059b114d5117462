"""Gauges of the broker connection, queue depth, dead letters and outbox backlog, refreshed at each scrape."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from sqlalchemy import MetaData, func, select

from generated import mesh
from services.runtime.core.clock import now
from services.runtime.messaging.channel import BrokerUnavailable, Channel
from services.runtime.messaging.connection import Broker
from services.runtime.messaging.outbox import define_outbox_table
from services.runtime.messaging.topology import get_dead_letter_queue
from services.runtime.storage.database import Database
from services.runtime.storage.statements.statement import Statement
from services.runtime.telemetry.metrics import ObservableGauge

BROKER_CONNECTED = ObservableGauge(
    f"{mesh.NAME}.broker.connected", "1 while the process has a channel to the broker, else 0.", "{connection}"
)
QUEUE_MESSAGES = ObservableGauge(f"{mesh.NAME}.queue.messages", "Ready messages in the queue.", "{message}", "queue")
QUEUE_DEAD_LETTERS = ObservableGauge(
    f"{mesh.NAME}.queue.dead_letters", "Dead letters of the queue.", "{message}", "queue"
)
OUTBOX_PENDING_EVENTS = ObservableGauge(
    f"{mesh.NAME}.outbox.pending_events", "Committed events that are not yet published.", "{event}"
)
OUTBOX_LAG = ObservableGauge(f"{mesh.NAME}.outbox.lag", "Age of the oldest pending event.", "s")

_outbox_table = define_outbox_table(MetaData())
_SELECT_PENDING = Statement(
    select(func.count().label("rows"), func.min(_outbox_table.c.at).label("oldest")).select_from(_outbox_table)
)


def build_outbox_refresh(database: Database) -> Callable[[], Awaitable[None]]:
    """Return a function that refreshes the gauges of the outbox."""

    async def refresh() -> None:
        OUTBOX_PENDING_EVENTS.set({})
        OUTBOX_LAG.set({})
        row = await database.fetch_one(_SELECT_PENDING)
        if row is not None:
            oldest = row["oldest"]
            OUTBOX_PENDING_EVENTS.set({(): row["rows"]})
            OUTBOX_LAG.set({(): max(0.0, (now() - oldest).total_seconds()) if oldest else 0.0})

    return refresh


class QueueDepthGauges:
    """Gauges of the broker connection and of the depth of some queues, read on a dedicated channel.

    Dead letters are counted for `queues` only; `retry_queues` have no dead-letter queue.
    """

    def __init__(self, broker: Broker, queues: Sequence[str], retry_queues: Sequence[str]) -> None:
        self._broker = broker
        self._queues = queues
        self._retry_queues = retry_queues
        self._channel: Channel | None = None

    async def run(self) -> None:
        """Hold the channel open until cancelled, reconnecting when it is lost."""
        await self._broker.run_with_reconnect(self._hold_channel)

    async def _hold_channel(self, channel: Channel) -> None:
        self._channel = channel
        try:
            await channel.wait_while_connected(asyncio.Event())
        finally:
            self._channel = None

    async def refresh(self) -> None:
        """Query the broker. Without a connection the gauges of queues have no values. Raises BrokerUnavailable."""
        QUEUE_MESSAGES.set({})
        QUEUE_DEAD_LETTERS.set({})
        BROKER_CONNECTED.set({(): int(self._channel is not None)})
        if self._channel is None:
            raise BrokerUnavailable("not connected")
        QUEUE_MESSAGES.set(
            {(name,): await self._channel.count_messages(name) for name in (*self._queues, *self._retry_queues)}
        )
        QUEUE_DEAD_LETTERS.set(
            {(name,): await self._channel.count_messages(get_dead_letter_queue(name)) for name in self._queues}
        )
