"""The door for scrapers: a unix socket that answers GET /metrics, and what is looked up only when somebody asks."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from sqlalchemy import MetaData, func, select

from services.runtime.core.clock import now
from services.runtime.core.errors import ApiError
from services.runtime.messaging.channel import BrokerUnavailable, Channel
from services.runtime.messaging.connection import Broker
from services.runtime.messaging.outbox import define_outbox_table
from services.runtime.messaging.topology import QUEUES, dead_letter_queue
from services.runtime.rpc.server import remove_stale_socket
from services.runtime.storage.database import Database, Statement
from services.runtime.telemetry.metrics import MetricsRegistry, ObservableGauge, setup_metrics

log = logging.getLogger(__name__)

type GaugeRefresh = Callable[[], Awaitable[None]]
"""Brings some levels up to date; leaves them without values when it cannot."""

TIMEOUT_S = 2.0
"""How long one look may take."""

CACHE_TTL_S = 0.5
"""How long an answer is good for others who ask; scraping often costs no more than that."""

MAX_REQUEST_BYTES = 16 * 1024
RESPONSE_HEAD = (
    b"HTTP/1.1 %s\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n"
)

QUEUE_MESSAGES = ObservableGauge(
    "delivery.queue.messages", "Messages that wait in a queue, untouched.", "{message}", "queue"
)
QUEUE_DEAD_LETTERS = ObservableGauge(
    "delivery.queue.dead_letters", "Messages that no attempt could settle.", "{message}", "queue"
)
OUTBOX_PENDING_EVENTS = ObservableGauge(
    "delivery.outbox.pending_events", "Events that are committed and not yet published.", "{event}"
)
OUTBOX_LAG = ObservableGauge("delivery.outbox.lag", "How long the oldest of them has waited.", "s")

_outbox_table = define_outbox_table(MetaData())
_SELECT_PENDING = Statement(
    select(func.count().label("rows"), func.min(_outbox_table.c.at).label("oldest")).select_from(_outbox_table)
)


def make_outbox_refresh(database: Database) -> GaugeRefresh:
    """How far the outbox is behind."""

    async def look() -> None:
        OUTBOX_PENDING_EVENTS.set({})
        OUTBOX_LAG.set({})
        row = await database.fetch_one(_SELECT_PENDING)
        if row is not None:
            oldest = row["oldest"]
            OUTBOX_PENDING_EVENTS.set({(): row["rows"]})
            OUTBOX_LAG.set({(): max(0.0, (now() - oldest).total_seconds()) if oldest else 0.0})

    return look


class QueueDepthGauges:
    """How much lies in some queues; keeps a channel for it."""

    def __init__(self, broker: Broker, queues: Sequence[str], shared_queues: Sequence[str]) -> None:
        self._broker = broker
        self._queues = queues
        self._shared_queues = shared_queues
        self._channel: Channel | None = None

    async def run(self) -> None:
        """Keeps the channel until cancelled."""
        await self._broker.run_with_reconnect(self._hold_channel)

    async def _hold_channel(self, channel: Channel) -> None:
        self._channel = channel
        try:
            await channel.wait_while_connected(asyncio.Event())
        finally:
            self._channel = None

    async def refresh(self) -> None:
        """Asks the broker."""
        QUEUE_MESSAGES.set({})
        QUEUE_DEAD_LETTERS.set({})
        if self._channel is None:
            raise BrokerUnavailable("not connected")
        QUEUE_MESSAGES.set(
            {(name,): await self._channel.count_messages(name) for name in (*self._queues, *self._shared_queues)}
        )
        QUEUE_DEAD_LETTERS.set(
            {(name,): await self._channel.count_messages(dead_letter_queue(name)) for name in self._queues}
        )


class MetricsServer:
    """Answers scrapers one after the other."""

    def __init__(
        self, metrics: MetricsRegistry, refreshers: Sequence[GaugeRefresh], cache_ttl_s: float = CACHE_TTL_S
    ) -> None:
        self._metrics = metrics
        self._refreshers = refreshers
        self._cache_ttl_s = cache_ttl_s
        self._lock = asyncio.Lock()
        self._cached_text = b""
        self._cached_at = -cache_ttl_s

    async def run(self, socket_path: Path) -> None:
        """Listens on the socket, which only its owner may open, until cancelled. Raises SocketTakenError."""
        remove_stale_socket(socket_path)
        server = await asyncio.start_unix_server(self._handle_connection, socket_path, limit=MAX_REQUEST_BYTES)
        socket_path.chmod(0o600)
        try:
            async with server:
                await server.serve_forever()
        finally:
            socket_path.unlink(missing_ok=True)

    async def render(self) -> bytes:
        """What there is to scrape."""
        async with self._lock:
            if time.monotonic() - self._cached_at >= self._cache_ttl_s:
                await asyncio.gather(*map(_refresh_safely, self._refreshers))
                self._cached_text = await asyncio.to_thread(self._metrics.render)
                self._cached_at = time.monotonic()
            return self._cached_text

    async def _handle_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                asked = await reader.readuntil(b"\r\n\r\n")
            found = asked.partition(b"\r\n")[0].split(b" ")[:2] == [b"GET", b"/metrics"]
            body = await self.render() if found else b"only GET /metrics is answered here\n"
            writer.write(RESPONSE_HEAD % (b"200 OK" if found else b"404 Not Found", len(body)) + body)
            await writer.drain()
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            log.debug("a scraper went: %s", type(error).__name__)
        finally:
            writer.close()


async def _refresh_safely(refresh: GaugeRefresh) -> None:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await refresh()
    except (TimeoutError, ApiError, BrokerUnavailable) as error:
        log.debug("a level cannot be looked up: %s", error)


async def serve_metrics(
    service: str,
    service_socket: Path,
    database: Database,
    broker: Broker,
    extra_refreshers: Sequence[GaugeRefresh] = (),
    shared_queues: Sequence[str] = (),
) -> None:
    """Serves what the process counts, how far its outbox is behind, and what lies in its queues, until cancelled.

    `socket` is the service's own; the door lies beside it, as `<service>-metrics.sock`. One of the services speaks
    for the queues that belong to none.
    """
    depths = QueueDepthGauges(broker, [name for name in QUEUES if name.startswith(f"{service}.")], shared_queues)
    door = MetricsServer(setup_metrics(service), [make_outbox_refresh(database), depths.refresh, *extra_refreshers])
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(depths.run())
        tasks.create_task(door.run(service_socket.with_name(f"{service}-metrics.sock")))
