"""Requests, responses and connections of the client, with a scripted server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from services.runtime.sidecar import http1_client
from services.runtime.sidecar.http1_client import Http1Client, UnaryCall

PATH = "/sample.v1.EchoService/Echo"
OK = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ntransfer-encoding: chunked\r\n\r\n"
    b"a\r\n\0\0\0\0\x05hello\r\n0\r\ngrpc-status: 0\r\n\r\n"
)
REJECTED = b"HTTP/1.1 200 OK\r\ngrpc-status: 5\r\ngrpc-message: no%20order\r\ncontent-length: 0\r\n\r\n"


class Server:
    """Server that answers each request with the next response, and None never."""

    def __init__(self, *responses: bytes | None) -> None:
        self.responses = list(responses)
        self.requests: list[bytes] = []
        self.connections = 0
        self.received, self.closed = asyncio.Event(), asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while self.responses:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                self.received.set()
                response = self.responses.pop(0)
                if response is None:
                    await reader.read()
                    return
                writer.write(response)
        except asyncio.IncompleteReadError:
            pass
        finally:
            self.closed.set()
            writer.close()


@asynccontextmanager
async def running(folder: Path, *responses: bytes | None) -> AsyncIterator[tuple[Server, Http1Client]]:
    server = Server(*responses)
    async with await asyncio.start_unix_server(server.serve, folder / "s"):
        client = Http1Client(folder / "s", "sample")
        yield server, client
        client.close()


async def get_code(call: UnaryCall, timeout_s: float = 5) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call(b"", timeout=timeout_s)
    return raised.value.code().name


async def test_request_has_frame_timeout_and_metadata(tmp_path: Path) -> None:
    async with running(tmp_path, OK, OK) as (server, client):
        assert await client.bind(PATH)(b"hi", timeout=2.5, metadata=(("traceparent", "00-1"),)) == b"hello"
        assert await client.bind(PATH)(b"") == b"hello"
    assert server.requests[0] == (
        b"POST /sample.v1.EchoService/Echo HTTP/1.1\r\nhost: sample\r\ncontent-type: application/grpc\r\n"
        b"te: trailers\r\ngrpc-timeout: 2500m\r\ntraceparent: 00-1\r\ncontent-length: 7\r\n\r\n\0\0\0\0\x02hi"
    )
    assert b"grpc-timeout" not in server.requests[1]


async def test_error_status_is_raised(tmp_path: Path) -> None:
    async with running(tmp_path, REJECTED, OK) as (server, client):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await client.bind(PATH)(b"")
        assert (raised.value.code(), raised.value.details()) == (grpc.StatusCode.NOT_FOUND, "no order")
        assert await client.bind(PATH)(b"") == b"hello"
    assert server.connections == 1


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\nno", "UNAVAILABLE"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n\0\0\0\0\0", "UNKNOWN"),
        (b"HTTP/1.1 200 OK\r\ngrpc-status: 0\r\ncontent-length: 0\r\n\r\n", "INTERNAL"),
        (b"nonsense\r\n\r\n", "UNAVAILABLE"),
        (OK[:100], "UNAVAILABLE"),
    ],
    ids=["HTTP error", "no status", "no message", "not HTTP", "truncated"],
)
async def test_invalid_response_is_raised_as_status(tmp_path: Path, response: bytes, code: str) -> None:
    async with running(tmp_path, response) as (_, client):
        assert await get_code(client.bind(PATH)) == code


async def test_large_response_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1_client, "MAX_MESSAGE_BYTES", 4)
    async with running(tmp_path, OK) as (server, client):
        assert await get_code(client.bind(PATH)) == "RESOURCE_EXHAUSTED"
        await asyncio.wait_for(server.closed.wait(), 5)


async def test_missing_socket_is_unavailable(tmp_path: Path) -> None:
    assert await get_code(Http1Client(tmp_path / "s", "sample").bind(PATH)) == "UNAVAILABLE"


async def test_exceeded_deadline_closes_connection(tmp_path: Path) -> None:
    async with running(tmp_path, None) as (server, client):
        assert await get_code(client.bind(PATH), timeout_s=0.05) == "DEADLINE_EXCEEDED"
        await asyncio.wait_for(server.closed.wait(), 5)


async def test_call_after_deadline_sends_no_request(tmp_path: Path) -> None:
    async with running(tmp_path, OK) as (server, client):
        assert await get_code(client.bind(PATH), timeout_s=0) == "DEADLINE_EXCEEDED"
    assert server.connections == 0


async def test_cancelled_call_closes_connection(tmp_path: Path) -> None:
    async with running(tmp_path, None, OK) as (server, client):
        task = asyncio.ensure_future(client.bind(PATH)(b""))
        await server.received.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(server.closed.wait(), 5)
        assert await client.bind(PATH)(b"") == b"hello"
    assert server.connections == 2


async def test_connection_is_reused_until_idle_timeout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(tmp_path, *[OK] * 3) as (server, client):
        call = client.bind(PATH)
        await call(b"")
        await call(b"")
        assert server.connections == 1
        monkeypatch.setattr(http1_client, "IDLE_TIMEOUT_S", -1)
        await call(b"")
        assert server.connections == 2


async def test_concurrent_calls_have_connections_of_their_own(tmp_path: Path) -> None:
    async with running(tmp_path, *[OK] * 6) as (server, client):
        call = client.bind(PATH)
        for _ in range(2):
            assert await asyncio.gather(*(call(b"") for _ in range(3))) == [b"hello"] * 3
        assert server.connections == 3


@pytest.mark.parametrize(
    "response", [OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n", 1), OK + REJECTED], ids=["close", "surplus"]
)
async def test_connection_that_cannot_be_reused_is_closed(tmp_path: Path, response: bytes) -> None:
    async with running(tmp_path, response, OK) as (server, client):
        call = client.bind(PATH)
        assert await call(b"") == b"hello"
        assert await call(b"") == b"hello"
        assert server.connections == 2


async def test_connection_closed_by_sidecar_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = asyncio.Event()
    handle_loss = http1_client._Connection.connection_lost

    def record_loss(connection: Any, exc: Exception | None) -> None:
        handle_loss(connection, exc)
        lost.set()

    monkeypatch.setattr(http1_client._Connection, "connection_lost", record_loss)
    async with running(tmp_path, OK) as (server, client):
        call = client.bind(PATH)
        await call(b"")
        await asyncio.wait_for(lost.wait(), 5)
        server.responses.append(OK)
        assert await call(b"") == b"hello"
        assert server.connections == 2


async def test_closing_ends_calls_in_progress(tmp_path: Path) -> None:
    async with running(tmp_path, None) as (server, client):
        task = asyncio.ensure_future(client.bind(PATH)(b""))
        await server.received.wait()
        client.close()
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await task
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
