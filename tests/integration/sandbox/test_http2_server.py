"""HTTP/2 server of the APNs emulator: connections, request bodies and shutdown."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, request_response

from services.sandbox.push import http2
from tests.free_ports import find_free_port
from tests.integration.sandbox.conftest import Sandbox

type Handler = Callable[[Request], Awaitable[Response]]


def create_app(handler: Handler) -> Starlette:
    return Starlette(routes=[Mount("/", app=request_response(handler))])


def create_client(port: int) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", http1=False, http2=True, trust_env=False)


async def respond(_: Request) -> Response:
    return Response("ok")


async def test_idle_connection_does_not_delay_shutdown() -> None:
    port = find_free_port()
    async with create_client(port) as client:
        async with http2.serve(create_app(respond), "127.0.0.1", port):
            response = await client.get("/")
            assert (response.http_version, response.text) == ("HTTP/2", "ok")
            stopped_at = time.monotonic()
        assert time.monotonic() - stopped_at < http2.SHUTDOWN_TIMEOUT_S / 2
        with pytest.raises(httpx.TransportError):
            await client.get("/")


async def test_running_request_is_finished_at_shutdown() -> None:
    started, can_finish = asyncio.Event(), asyncio.Event()

    async def respond_later(_: Request) -> Response:
        started.set()
        await can_finish.wait()
        return Response("late")

    port = find_free_port()
    async with create_client(port) as client:
        async with http2.serve(create_app(respond_later), "127.0.0.1", port):
            running = asyncio.create_task(client.get("/"))
            await started.wait()
            asyncio.get_running_loop().call_soon(can_finish.set)
        assert (await running).text == "late"


async def test_endless_request_is_cancelled_at_shutdown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http2, "SHUTDOWN_TIMEOUT_S", 0.1)
    started = asyncio.Event()

    async def respond_never(_: Request) -> Response:
        started.set()
        await asyncio.Event().wait()
        return Response()

    port = find_free_port()
    async with create_client(port) as client:
        async with http2.serve(create_app(respond_never), "127.0.0.1", port):
            running = asyncio.create_task(client.get("/"))
            await started.wait()
        running.cancel()
        with pytest.raises((asyncio.CancelledError, httpx.TransportError)):
            await running


async def test_address_in_use_is_reported_at_start() -> None:
    port = find_free_port()
    async with http2.serve(create_app(respond), "127.0.0.1", port):
        with pytest.raises(OSError, match="in use"):
            async with http2.serve(create_app(respond), "127.0.0.1", port):
                pass


@pytest.mark.parametrize(
    ("method", "path", "status", "reason"),
    [("GET", "/3/device/00", 405, "MethodNotAllowed"), ("POST", "/other", 404, "BadPath")],
)
async def test_apns_responds_to_every_method_and_path(
    sandbox: Sandbox, method: str, path: str, status: int, reason: str
) -> None:
    async with create_client(sandbox.apns_port) as client:
        response = await client.request(method, path, content=b"x" * 1024 * 1024)
        assert (response.status_code, response.json()) == (status, {"reason": reason})
        assert response.headers["apns-id"]
