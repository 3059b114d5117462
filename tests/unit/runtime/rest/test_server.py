import asyncio
import stat
from pathlib import Path
from typing import override

import httpx
from starlette.types import Receive, Scope, Send

from services.runtime.rest.server import serve_app
from tests.sample_rest_app import THING, RecordingThingsHandler, Thing, assert_problem, create_app


def connect(socket: Path) -> httpx.AsyncClient:
    transport = httpx.AsyncHTTPTransport(uds=str(socket))
    return httpx.AsyncClient(transport=transport, base_url="http://edge/api/v1", trust_env=False)


async def test_socket_is_owner_only_and_removed_on_shutdown(tmp_path: Path) -> None:
    socket = tmp_path / "s"
    async with serve_app(create_app(RecordingThingsHandler(lambda: THING)), socket, grace_s=1):
        assert stat.S_IMODE(socket.stat().st_mode) == 0o600
    assert not socket.exists()


async def test_requests_on_one_connection_are_handled_in_sequence(tmp_path: Path) -> None:
    app = create_app(RecordingThingsHandler(lambda: THING))
    async with serve_app(app, tmp_path / "s", grace_s=1), connect(tmp_path / "s") as client:
        for method in ("GET", "HEAD", "GET"):
            response = await client.request(method, "/things/latest")
            assert (response.status_code, response.headers["content-length"]) == (200, "21")
            assert not {"server", "date"} & response.headers.keys()


async def test_shutdown_completes_running_request(tmp_path: Path) -> None:
    request_received, finish = asyncio.Event(), asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            for phase in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{phase}.complete"})
            return
        request_received.set()
        await finish.wait()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async with connect(tmp_path / "s") as client:
        async with serve_app(slow, tmp_path / "s", grace_s=5):
            request_task = asyncio.create_task(client.get("/"))
            await request_received.wait()
            asyncio.get_running_loop().call_later(0.2, finish.set)
        assert (await request_task).status_code == 204


class BlockingThingsHandler(RecordingThingsHandler):
    """Handler that never returns."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = asyncio.Event()
        self.was_cancelled = False

    @override
    async def get_latest(self) -> Thing:
        self.entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        raise AssertionError


async def test_request_that_outlasts_shutdown_returns_503_problem(tmp_path: Path) -> None:
    things = BlockingThingsHandler()
    async with connect(tmp_path / "s") as client:
        async with serve_app(create_app(things), tmp_path / "s", grace_s=1):
            request_task = asyncio.create_task(client.get("/things/latest", headers={"accept-language": "de"}))
            await things.entered.wait()
        response = await request_task
    assert_problem(response, 503, "UPSTREAM_UNAVAILABLE")
    assert (response.headers["retry-after"], response.headers["content-language"]) == ("1", "de")
    assert things.was_cancelled
