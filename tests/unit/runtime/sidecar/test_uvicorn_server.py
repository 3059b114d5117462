import asyncio
import stat
from pathlib import Path

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from services.runtime.sidecar.unix_sockets import SocketInUseError
from services.runtime.sidecar.uvicorn_server import UvicornServer


def connect(path: Path) -> httpx.AsyncClient:
    transport = httpx.AsyncHTTPTransport(uds=str(path))
    return httpx.AsyncClient(transport=transport, base_url="http://app", trust_env=False)


class SlowApp:
    """Application that responds after `proceed` is set."""

    def __init__(self) -> None:
        self.entered, self.proceed = asyncio.Event(), asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.entered.set()
        await self.proceed.wait()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})


async def test_socket_is_owner_only_and_removed_after_stop(tmp_path: Path) -> None:
    server = UvicornServer(SlowApp(), tmp_path / "s", lifespan="off")
    await server.start()
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o600
    with pytest.raises(SocketInUseError):
        await UvicornServer(SlowApp(), tmp_path / "s", lifespan="off").start()
    await server.stop(grace_s=0)
    assert not (tmp_path / "s").exists()


async def test_stop_completes_running_request(tmp_path: Path) -> None:
    app = SlowApp()
    server = UvicornServer(app, tmp_path / "s", lifespan="off")
    await server.start()
    async with connect(tmp_path / "s") as client:
        request_task = asyncio.create_task(client.get("/"))
        await app.entered.wait()
        asyncio.get_running_loop().call_later(0.05, app.proceed.set)
        await server.stop(grace_s=5)
        assert (await request_task).status_code == 204


async def test_application_that_does_not_start_raises_runtime_error(tmp_path: Path) -> None:
    async def fail(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "lifespan.startup.failed", "message": "broken"})

    with pytest.raises(RuntimeError, match="startup failed"):
        await UvicornServer(fail, tmp_path / "s", lifespan="on").start()
