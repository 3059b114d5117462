"""Overload of the gateway's app: a bounded queue, immediate rejections, and priority of callbacks."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from codegen.envoy.overload import LIMITS, MIN_CONCURRENT_READS
from tests.envoy_test_mesh import MeshClient, echo, running_test_edge
from tests.wait import wait_until_async

REQUESTS = 240
MAX_CONNECTIONS: int = LIMITS["app"]["max_connections"]
MAX_ADMITTED = sum(LIMITS["app"].values())
MAX_REJECTION_S, MAX_CALLBACK_S = 0.1, 1.0
CALLBACK_PATH = "/api/v1/callbacks/payments/visa"


class StuckApp:
    """ASGI application that answers nothing but callbacks until it is released."""

    def __init__(self) -> None:
        self.is_released = False
        self.received = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.received += 1
        if scope["path"] != CALLBACK_PATH:
            await wait_until_async(lambda: self.is_released, 60)
        await echo(scope, receive, send)


@pytest.fixture
def app() -> StuckApp:
    return StuckApp()


@pytest.fixture
def edge_mesh(tmp_path: Path, app: StuckApp) -> Iterator[MeshClient]:
    with running_test_edge(tmp_path, app, RATE_LIMIT_FACTOR="10000") as client:
        yield client
        app.is_released = True


async def measure(client: httpx.AsyncClient, method: str, path: str) -> tuple[httpx.Response, float]:
    """Return the response to a request, and its duration in seconds."""
    started_at = time.monotonic()
    response = await client.request(method, path)
    return response, time.monotonic() - started_at


async def overload_app(
    url: str, app: StuckApp
) -> tuple[list[httpx.Response], list[float], tuple[httpx.Response, float]]:
    """Send more requests than the app admits. Return all responses, the durations of rejections, and a callback."""
    limits = httpx.Limits(max_connections=REQUESTS)
    async with (
        httpx.AsyncClient(base_url=url, limits=limits, trust_env=False, timeout=30) as client,
        httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as bank,
    ):
        tasks: list[asyncio.Task[httpx.Response]] = []
        # A request waits in the queue until its connection is open, so one burst would fill the queue too early.
        for count in (MAX_CONNECTIONS // 2, MAX_CONNECTIONS, REQUESTS):
            tasks += [asyncio.create_task(client.post("/api/v1/sessions", json={})) for _ in range(count - len(tasks))]
            expected = min(count, MAX_CONNECTIONS)
            await wait_until_async(lambda expected=expected: app.received == expected, 20)
        pending = set(tasks)
        while len(pending) > MAX_ADMITTED:
            _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        rejections = [(await measure(client, "POST", "/api/v1/sessions"))[1] for _ in range(20)]
        callback = await measure(bank, "POST", CALLBACK_PATH)
        app.is_released = True
        return [await each for each in tasks], rejections, callback


def test_requests_beyond_the_queue_are_rejected_at_once(edge_mesh: MeshClient, app: StuckApp) -> None:
    responses, rejections, (callback, callback_s) = asyncio.run(overload_app(edge_mesh.get_url("EDGE_PORT"), app))
    rejected = [response for response in responses if response.status_code == 503]
    assert len(rejected) == REQUESTS - MAX_ADMITTED
    assert {response.json()["reason"] for response in rejected} == {"UPSTREAM_UNAVAILABLE"}
    assert all(int(response.headers["retry-after"]) >= 1 for response in rejected)
    assert sorted(rejections)[len(rejections) // 2] < MAX_REJECTION_S
    assert callback.status_code == 200
    assert callback_s < MAX_CALLBACK_S
    assert [response.status_code for response in responses].count(200) == MAX_ADMITTED


async def overload_app_by_reads(url: str, app: StuckApp) -> tuple[list[httpx.Response], httpx.Response, httpx.Response]:
    """Send more reads than are admitted. Return all responses, and those to two more: without a token, of sign-in."""
    limits = httpx.Limits(max_connections=REQUESTS)
    async with httpx.AsyncClient(base_url=url, limits=limits, trust_env=False, timeout=30) as client:
        tasks = [asyncio.create_task(client.get("/api/v1/catalog")) for _ in range(REQUESTS)]
        pending = set(tasks)
        while len(pending) > MIN_CONCURRENT_READS:
            _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        read = await client.get("/api/v1/users/me", headers={"Authorization": "Bearer invalid"})
        sign_in = asyncio.create_task(client.post("/api/v1/sessions", json={}))
        await wait_until_async(lambda: app.received > MIN_CONCURRENT_READS, 10)
        app.is_released = True
        return [await each for each in tasks], read, await sign_in


def test_excess_reads_are_rejected_before_their_token_is_verified(edge_mesh: MeshClient, app: StuckApp) -> None:
    responses, read, sign_in = asyncio.run(overload_app_by_reads(edge_mesh.get_url("EDGE_PORT"), app))
    rejected = [response for response in responses if response.status_code == 503]
    assert len(rejected) == REQUESTS - MIN_CONCURRENT_READS
    assert {response.json()["reason"] for response in (*rejected, read)} == {"UPSTREAM_UNAVAILABLE"}
    assert all(int(response.headers["retry-after"]) >= 1 for response in rejected)
    assert sign_in.status_code == 200
