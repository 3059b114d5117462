"""Two thousand event streams of an order, through the edge to one gateway."""

import asyncio
import time
from urllib.parse import urlsplit

import httpx
import psutil

from bench.mesh import Mesh, build_basket
from bench.results import Row, require_at_most
from deploy.local.infrastructure.envoys import open_admin_client
from tests.wait import wait_until

STREAM_COUNT = 2000
MAX_CONCURRENT_OPENS = 50
TIMEOUT_S = 120


class EventStream:
    """An open event stream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def wait_for_event(self, marker: bytes) -> float:
        """Wait for an event that contains the marker. Return the monotonic time of its arrival."""
        while marker not in await self._reader.readuntil(b"\n"):
            pass
        return time.monotonic()

    def close(self) -> None:
        """Close the connection."""
        self._writer.close()


async def open_stream(mesh: Mesh, order_id: str, token: str, semaphore: asyncio.Semaphore) -> EventStream:
    """Open a stream and wait for its first event. Raises ConnectionError if the status is not 200."""
    edge = urlsplit(mesh.config.edge_url)
    request = f"GET /api/v1/orders/{order_id}/events HTTP/1.1\r\nHost: edge\r\nAuthorization: Bearer {token}\r\n\r\n"
    async with semaphore:
        reader, writer = await asyncio.open_connection(edge.hostname, edge.port)
        writer.write(request.encode())
        status = await reader.readline()
        if b" 200 " not in status:
            raise ConnectionError(status.decode())
        stream = EventStream(reader, writer)
        await stream.wait_for_event(b"pending")
    return stream


async def measure_streams(mesh: Mesh) -> tuple[float, float]:
    """Return the PSS of the gateway in MB with all streams open, and the seconds until all have received an event."""
    token = mesh.get_access_token()
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=mesh.config.edge_url, headers=headers, trust_env=False, timeout=30) as client:
        check = (await client.post("/api/v1/order-checks", json=build_basket())).raise_for_status().json()
        confirmed = (
            (await client.post("/api/v1/orders", json={"check_id": check["check_id"]})).raise_for_status().json()
        )
        order_id = confirmed["order"]["id"]
        semaphore = asyncio.Semaphore(MAX_CONCURRENT_OPENS)
        async with asyncio.timeout(TIMEOUT_S):
            streams = await asyncio.gather(
                *(open_stream(mesh, order_id, token, semaphore) for _ in range(STREAM_COUNT))
            )
        memory_mb = psutil.Process(mesh.list_pids("gateway")[0]).memory_full_info().pss / 1e6
        received = [asyncio.create_task(stream.wait_for_event(b"cancelled")) for stream in streams]
        started_at = time.monotonic()
        (await client.post(f"/api/v1/orders/{order_id}/cancel", json={})).raise_for_status()
        async with asyncio.timeout(TIMEOUT_S):
            latency_s = max(await asyncio.gather(*received)) - started_at
    for stream in streams:
        stream.close()
    return memory_mb, latency_s


def _count_streams(mesh: Mesh) -> int:
    """Return the number of requests that the edge has open at the gateway."""
    with open_admin_client(mesh.config, "gateway") as client:
        stats = client.get("/stats", params={"filter": r"^cluster\.app\.upstream_rq_active$", "format": "json"}).json()
    return int(stats["stats"][0]["value"])


def _measure_once(mesh: Mesh) -> tuple[float, float]:
    """Measure once, and wait until the gateway has closed all streams: their maximum is 2,048."""
    measured = asyncio.run(measure_streams(mesh))
    wait_until(lambda: _count_streams(mesh) == 0, 60, description="all streams are closed")
    return measured


def run(mesh: Mesh) -> list[Row]:
    """Measure three times."""
    runs = [_measure_once(mesh) for _ in range(3)]
    return [
        require_at_most(
            f"streams: PSS of one gateway with {STREAM_COUNT} open streams", 250, [run[0] for run in runs], "MB"
        ),
        require_at_most(
            f"streams: latency of an event to all {STREAM_COUNT}, from the request that causes it",
            1,
            [run[1] for run in runs],
            "s",
        ),
    ]
