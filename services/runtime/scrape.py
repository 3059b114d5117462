"""The door for scrapers: a unix socket that answers GET /metrics, and what is looked up only when somebody asks."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from sqlalchemy import MetaData, func, select

from services.runtime.amqp import BrokerUnavailable, Channel
from services.runtime.broker import Broker
from services.runtime.clock import now
from services.runtime.database import Database, Statement
from services.runtime.metrics import Level, Metrics, setup
from services.runtime.outbox import outbox_table
from services.runtime.refusal import Refusal
from services.runtime.server import remove_stale
from services.runtime.topology import QUEUES, dead

log = logging.getLogger(__name__)

type Look = Callable[[], Awaitable[None]]
"""Brings some levels up to date; leaves them without values when it cannot."""

PATIENCE_S = 2.0
"""How long one look may take."""

KEPT_S = 0.5
"""How long an answer is good for others who ask; scraping often costs no more than that."""

REQUEST_LIMIT = 16 * 1024
HEAD = (
    b"HTTP/1.1 %s\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n"
)

READY = Level("delivery.queue.messages", "Messages that wait in a queue, untouched.", "{message}", "queue")
DEAD = Level("delivery.queue.dead_letters", "Messages that no attempt could settle.", "{message}", "queue")
ROWS = Level("delivery.outbox.rows", "Events that are committed and not yet published.", "{event}")
LAG = Level("delivery.outbox.lag", "How long the oldest of them has waited.", "s")

_outbox = outbox_table(MetaData())
_WAITING = Statement(select(func.count().label("rows"), func.min(_outbox.c.at).label("oldest")).select_from(_outbox))


def outbox(database: Database) -> Look:
    """How far the outbox is behind."""

    async def look() -> None:
        ROWS.set({})
        LAG.set({})
        row = await database.one(_WAITING)
        if row is not None:
            oldest = row["oldest"]
            ROWS.set({(): row["rows"]})
            LAG.set({(): max(0.0, (now() - oldest).total_seconds()) if oldest else 0.0})

    return look


class Depths:
    """How much lies in some queues; keeps a channel for it."""

    def __init__(self, broker: Broker, queues: Sequence[str], others: Sequence[str]) -> None:
        self._broker = broker
        self._queues = queues
        self._others = others
        self._channel: Channel | None = None

    async def run(self) -> None:
        """Keeps the channel until cancelled."""
        await self._broker.keep(self._hold)

    async def _hold(self, channel: Channel) -> None:
        self._channel = channel
        try:
            await channel.alive_until(asyncio.Event())
        finally:
            self._channel = None

    async def look(self) -> None:
        """Asks the broker."""
        READY.set({})
        DEAD.set({})
        if self._channel is None:
            raise BrokerUnavailable("not connected")
        READY.set({(name,): await self._channel.count(name) for name in (*self._queues, *self._others)})
        DEAD.set({(name,): await self._channel.count(dead(name)) for name in self._queues})


class Door:
    """Answers scrapers one after the other."""

    def __init__(self, metrics: Metrics, looks: Sequence[Look], kept_s: float = KEPT_S) -> None:
        self._metrics = metrics
        self._looks = looks
        self._kept_s = kept_s
        self._lock = asyncio.Lock()
        self._text = b""
        self._made = -kept_s

    async def run(self, path: Path) -> None:
        """Listens on the socket, which only its owner may open, until cancelled. Raises SocketTakenError."""
        remove_stale(path)
        server = await asyncio.start_unix_server(self._answer, path, limit=REQUEST_LIMIT)
        path.chmod(0o600)
        try:
            async with server:
                await server.serve_forever()
        finally:
            path.unlink(missing_ok=True)

    async def text(self) -> bytes:
        """What there is to scrape."""
        async with self._lock:
            if time.monotonic() - self._made >= self._kept_s:
                await asyncio.gather(*map(_tried, self._looks))
                self._text = await asyncio.to_thread(self._metrics.text)
                self._made = time.monotonic()
            return self._text

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                asked = await reader.readuntil(b"\r\n\r\n")
            found = asked.partition(b"\r\n")[0].split(b" ")[:2] == [b"GET", b"/metrics"]
            body = await self.text() if found else b"only GET /metrics is answered here\n"
            writer.write(HEAD % (b"200 OK" if found else b"404 Not Found", len(body)) + body)
            await writer.drain()
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            log.debug("a scraper went: %s", type(error).__name__)
        finally:
            writer.close()


async def _tried(look: Look) -> None:
    try:
        async with asyncio.timeout(PATIENCE_S):
            await look()
    except (TimeoutError, Refusal, BrokerUnavailable) as error:
        log.debug("a level cannot be looked up: %s", error)


async def expose(
    service: str,
    socket: Path,
    database: Database,
    broker: Broker,
    more: Sequence[Look] = (),
    queues_of_all: Sequence[str] = (),
) -> None:
    """Serves what the process counts, how far its outbox is behind, and what lies in its queues, until cancelled.

    `socket` is the service's own; the door lies beside it, as `<service>-metrics.sock`. One of the services speaks
    for the queues that belong to none.
    """
    depths = Depths(broker, [name for name in QUEUES if name.startswith(f"{service}.")], queues_of_all)
    door = Door(setup(service), [outbox(database), depths.look, *more])
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(depths.run())
        tasks.create_task(door.run(socket.with_name(f"{service}-metrics.sock")))
