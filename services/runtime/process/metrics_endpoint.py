"""Prometheus metrics endpoint: an HTTP server on a unix socket that serves GET /metrics."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from services.runtime.core.errors import ApiError
from services.runtime.messaging.channel import BrokerUnavailable
from services.runtime.messaging.connection import Broker
from services.runtime.messaging.metrics import initialise_missing_queues, initialise_published_events
from services.runtime.messaging.topology import QUEUES, RETRY_QUEUES, get_dead_letter_queue, get_owner
from services.runtime.process.queue_depths import QueueDepthGauges, build_outbox_refresh
from services.runtime.sidecar.unix_sockets import remove_stale_socket
from services.runtime.storage.database import Database
from services.runtime.telemetry.metrics import MetricsRegistry, setup_metrics

log = logging.getLogger(__name__)

type GaugeRefresh = Callable[[], Awaitable[None]]
"""Refreshes observable gauges; on failure they have no values."""

TIMEOUT_S = 2.0
"""Timeout for reading a request, and for refreshing a gauge, in seconds."""

CACHE_TTL_S = 0.5
"""Lifetime of a rendered response in seconds, which bounds the cost of frequent scrapes."""

MAX_REQUEST_BYTES = 16 * 1024
RESPONSE_HEAD = (
    b"HTTP/1.1 %s\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n"
)


class MetricsServer:
    """HTTP server that renders the metrics of this process, one response at a time."""

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
        """Listen on the socket until cancelled. Only the owner of the socket may connect. Raises SocketInUseError."""
        remove_stale_socket(socket_path)
        server = await asyncio.start_unix_server(self._handle_connection, socket_path, limit=MAX_REQUEST_BYTES)
        socket_path.chmod(0o600)
        try:
            async with server:
                await server.serve_forever()
        finally:
            socket_path.unlink(missing_ok=True)

    async def render(self) -> bytes:
        """Return the metrics in the Prometheus text format."""
        async with self._lock:
            if time.monotonic() - self._cached_at >= self._cache_ttl_s:
                await asyncio.gather(*map(_refresh_safely, self._refreshers))
                self._cached_text = await asyncio.to_thread(self._metrics.render)
                self._cached_at = time.monotonic()
            return self._cached_text

    async def _handle_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                request = await reader.readuntil(b"\r\n\r\n")
            found = request.partition(b"\r\n")[0].split(b" ")[:2] == [b"GET", b"/metrics"]
            body = await self.render() if found else b"not found; the only endpoint is GET /metrics\n"
            writer.write(RESPONSE_HEAD % (b"200 OK" if found else b"404 Not Found", len(body)) + body)
            await writer.drain()
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            log.debug("metrics request failed: %s; connection closed", type(error).__name__)
        finally:
            writer.close()


async def _refresh_safely(refresh: GaugeRefresh) -> None:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await refresh()
    except (TimeoutError, ApiError, BrokerUnavailable) as error:
        log.debug("gauge refresh failed: %s; omitting its values", error)


async def serve_metrics(
    service: str,
    environment: str,
    service_socket: Path,
    database: Database,
    broker: Broker,
    extra_refreshers: Sequence[GaugeRefresh] = (),
) -> None:
    """Serve the metrics of this process, its outbox and its queues until cancelled.

    The endpoint is the socket `<service>-metrics.sock` in the folder of `service_socket`.
    """
    queues, retry_queues = ([name for name in names if get_owner(name) == service] for names in (QUEUES, RETRY_QUEUES))
    depths = QueueDepthGauges(broker, queues, retry_queues)
    initialise_published_events(service)
    initialise_missing_queues([*queues, *map(get_dead_letter_queue, queues), *retry_queues])
    refreshers = [build_outbox_refresh(database), depths.refresh, *extra_refreshers]
    server = MetricsServer(setup_metrics(service, environment), refreshers)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(depths.run())
        tasks.create_task(server.run(service_socket.with_name(f"{service}-metrics.sock")))
