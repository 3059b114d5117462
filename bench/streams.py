"""Two thousand customers watch an order, through the edge, on one gateway."""

import asyncio
import time
from urllib.parse import urlsplit

import httpx
import psutil

from bench.mesh import Mesh, basket
from bench.results import Row, at_most

STREAMS = 2000
OPENING = 50
PATIENCE_S = 120


class Watcher:
    """One open stream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def next(self, word: bytes) -> float:
        """When an event with this word arrives."""
        while word not in await self._reader.readuntil(b"\n"):
            pass
        return time.monotonic()

    def close(self) -> None:
        """Leaves."""
        self._writer.close()


async def watch(mesh: Mesh, order_id: str, token: str, gate: asyncio.Semaphore) -> Watcher:
    """Opens a stream, and waits for its first event. Raises ConnectionError when it is refused."""
    edge = urlsplit(mesh.state.edge)
    request = f"GET /api/v1/orders/{order_id}/events HTTP/1.1\r\nHost: edge\r\nAuthorization: Bearer {token}\r\n\r\n"
    async with gate:
        reader, writer = await asyncio.open_connection(edge.hostname, edge.port)
        writer.write(request.encode())
        status = await reader.readline()
        if b" 200 " not in status:
            raise ConnectionError(status.decode())
        watcher = Watcher(reader, writer)
        await watcher.next(b"pending")
    return watcher


async def measure(mesh: Mesh) -> tuple[float, float]:
    """The gateway's memory (PSS) in MB with all of them open, and the seconds until the last one has the next event."""
    token = mesh.token()
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=mesh.state.edge, headers=headers, trust_env=False, timeout=30) as client:
        check = (await client.post("/api/v1/order-checks", json=basket())).raise_for_status().json()
        made = (await client.post("/api/v1/orders", json={"check_id": check["check_id"]})).raise_for_status().json()
        order_id = made["order"]["id"]
        gate = asyncio.Semaphore(OPENING)
        async with asyncio.timeout(PATIENCE_S):
            watchers = await asyncio.gather(*(watch(mesh, order_id, token, gate) for _ in range(STREAMS)))
        memory = psutil.Process(mesh.pids("gateway")[0]).memory_full_info().pss / 1e6
        seen = [asyncio.create_task(watcher.next(b"cancelled")) for watcher in watchers]
        began = time.monotonic()
        (await client.post(f"/api/v1/orders/{order_id}/cancel", json={})).raise_for_status()
        async with asyncio.timeout(PATIENCE_S):
            last = max(await asyncio.gather(*seen)) - began
    for watcher in watchers:
        watcher.close()
    return memory, last


def run(mesh: Mesh) -> list[Row]:
    """Three times."""
    runs = [asyncio.run(measure(mesh)) for _ in range(3)]
    return [
        at_most(f"streams: PSS of one gateway with {STREAMS} streams open", 300, [run[0] for run in runs], "MB"),
        at_most(
            f"streams: an event to all {STREAMS}, from the request that causes it", 1, [run[1] for run in runs], "s"
        ),
    ]
