"""Two thousand customers watch an order, through the edge, on one gateway."""

import asyncio
import time
from urllib.parse import urlsplit

import httpx
import psutil

from bench.mesh import Mesh, build_basket
from bench.results import Row, require_at_most

STREAM_COUNT = 2000
MAX_CONCURRENT_OPENS = 50
TIMEOUT_S = 120


class EventStream:
    """One open stream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def wait_for_event(self, marker: bytes) -> float:
        """When an event with this word arrives."""
        while marker not in await self._reader.readuntil(b"\n"):
            pass
        return time.monotonic()

    def close(self) -> None:
        """Leaves."""
        self._writer.close()


async def open_stream(mesh: Mesh, order_id: str, token: str, semaphore: asyncio.Semaphore) -> EventStream:
    """Opens a stream, and waits for its first event. Raises ConnectionError when it is refused."""
    edge = urlsplit(mesh.config.edge_url)
    request = f"GET /api/v1/orders/{order_id}/events HTTP/1.1\r\nHost: edge\r\nAuthorization: Bearer {token}\r\n\r\n"
    async with semaphore:
        reader, writer = await asyncio.open_connection(edge.hostname, edge.port)
        writer.write(request.encode())
        status = await reader.readline()
        if b" 200 " not in status:
            raise ConnectionError(status.decode())
        watcher = EventStream(reader, writer)
        await watcher.wait_for_event(b"pending")
    return watcher


async def measure_streams(mesh: Mesh) -> tuple[float, float]:
    """The gateway's memory (PSS) in MB with all of them open, and the seconds until the last one has the next event."""
    token = mesh.get_access_token()
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=mesh.config.edge_url, headers=headers, trust_env=False, timeout=30) as client:
        check = (await client.post("/api/v1/order-checks", json=build_basket())).raise_for_status().json()
        made = (await client.post("/api/v1/orders", json={"check_id": check["check_id"]})).raise_for_status().json()
        order_id = made["order"]["id"]
        gate = asyncio.Semaphore(MAX_CONCURRENT_OPENS)
        async with asyncio.timeout(TIMEOUT_S):
            watchers = await asyncio.gather(*(open_stream(mesh, order_id, token, gate) for _ in range(STREAM_COUNT)))
        memory = psutil.Process(mesh.list_pids("gateway")[0]).memory_full_info().pss / 1e6
        seen = [asyncio.create_task(watcher.wait_for_event(b"cancelled")) for watcher in watchers]
        began = time.monotonic()
        (await client.post(f"/api/v1/orders/{order_id}/cancel", json={})).raise_for_status()
        async with asyncio.timeout(TIMEOUT_S):
            last = max(await asyncio.gather(*seen)) - began
    for watcher in watchers:
        watcher.close()
    return memory, last


def run(mesh: Mesh) -> list[Row]:
    """Three times."""
    runs = [asyncio.run(measure_streams(mesh)) for _ in range(3)]
    return [
        require_at_most(
            f"streams: PSS of one gateway with {STREAM_COUNT} streams open", 300, [run[0] for run in runs], "MB"
        ),
        require_at_most(
            f"streams: an event to all {STREAM_COUNT}, from the request that causes it",
            1,
            [run[1] for run in runs],
            "s",
        ),
    ]
