"""HTTP/1.1 protocol of the servers, on a transport that records its calls."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any, cast

import pytest
import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope, Send
from uvicorn.server import ServerState

from services.runtime.sidecar.http1_protocol import MAX_BUFFERED_BYTES, CancellingHttp1Protocol, Http1Protocol
from tests.wait import wait_until_async

REQUEST = b"POST /a%20b?x=1 HTTP/1.1\r\nHost: app\r\nX-Name: Value\r\nContent-Length: 4\r\n\r\nbody"
RESPONSE = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody"


class RecordingTransport(asyncio.Transport):
    """Transport that stores the data written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.data = b""
        self.is_closed = self.is_paused = False

    def write(self, data: Any) -> None:
        self.data += data

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False


class Client:
    """Connection to an application."""

    def __init__(
        self,
        app: Callable[[Scope, Receive, Send], Any],
        keep_alive_s: float = 5,
        protocol: type[Http1Protocol] = Http1Protocol,
    ) -> None:
        config = uvicorn.Config(app, http=Http1Protocol, lifespan="off", timeout_keep_alive=cast(int, keep_alive_s))
        config.load()
        self.state = ServerState()
        self.protocol = protocol(config, self.state, {})
        self.transport = RecordingTransport()
        self.protocol.connection_made(self.transport)

    async def wait_for_response(self) -> bytes:
        """Return the data of the response as soon as the application has ended."""
        await wait_until_async(lambda: not self.state.tasks)
        return self.transport.data


async def read_body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message["body"]
        more = message["more_body"]
    return body


async def respond(send: Send, body: bytes, status: int = 200) -> None:
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    await respond(send, await read_body(receive))


async def test_scope_has_the_parts_of_the_request() -> None:
    scopes: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await echo(scope, receive, send)

    client = Client(app)
    client.protocol.data_received(REQUEST)
    assert await client.wait_for_response() == RESPONSE
    (scope,) = scopes
    assert (scope["method"], scope["path"], scope["raw_path"], scope["query_string"]) == (
        "POST",
        "/a b",
        b"/a%20b",
        b"x=1",
    )
    assert scope["headers"] == [(b"host", b"app"), (b"x-name", b"Value"), (b"content-length", b"4")]


async def test_complete_request_is_served_at_once() -> None:
    client = Client(echo)
    client.protocol.data_received(REQUEST)
    assert client.transport.data == RESPONSE
    assert not client.state.tasks


@settings(max_examples=50, deadline=None)
@given(cuts=st.sets(st.integers(1, 2 * len(REQUEST) - 1)))
def test_requests_in_arbitrary_parts_are_served(cuts: set[int]) -> None:
    async def send_parts() -> bytes:
        client = Client(echo)
        for number in range(2):
            offset = number * len(REQUEST)
            bounds = [0, *sorted(cut - offset for cut in cuts if 0 < cut - offset < len(REQUEST)), len(REQUEST)]
            for start, end in itertools.pairwise(bounds):
                client.protocol.data_received(REQUEST[start:end])
            await client.wait_for_response()
        return client.transport.data

    assert asyncio.run(send_parts()) == RESPONSE * 2


async def test_pipelined_request_is_not_served_and_closes_connection() -> None:
    proceed = asyncio.Event()
    count = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal count
        count += 1
        await proceed.wait()
        await echo(scope, receive, send)

    for parts in ((REQUEST, REQUEST), (REQUEST + REQUEST,)):
        client, count = Client(app), 0
        for part in parts:
            client.protocol.data_received(part)
        proceed.set()
        assert await client.wait_for_response() == RESPONSE.replace(b"4\r\n", b"4\r\nconnection: close\r\n")
        assert (count, client.transport.is_closed) == (1, True)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n",
        b"POST / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: x\r\nContent-Length: 4\r\n\r\nbody",
    ],
)
async def test_malformed_request_is_rejected_and_closes_connection(data: bytes) -> None:
    client = Client(echo)
    client.protocol.data_received(data)
    assert client.transport.data.startswith(b"HTTP/1.1 400 ")
    assert client.transport.is_closed
    assert not client.state.tasks


async def test_body_after_complete_response_is_discarded() -> None:
    async def reject(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"", 413)

    client = Client(reject)
    client.protocol.data_received(b"POST / HTTP/1.1\r\nContent-Length: 300000\r\n\r\n")
    rejection = client.transport.data
    client.protocol.data_received(bytes(300000))
    assert (client.transport.is_paused, client.transport.is_closed) == (False, False)
    client.protocol.data_received(REQUEST)
    assert client.transport.data == rejection * 2


async def test_response_before_the_end_of_an_unread_body_resumes_reading() -> None:
    proceed = asyncio.Event()

    async def reject(scope: Scope, receive: Receive, send: Send) -> None:
        await proceed.wait()
        await respond(send, b"", 413)

    client = Client(reject)
    client.protocol.data_received(b"POST / HTTP/1.1\r\nContent-Length: 300000\r\n\r\n")
    client.protocol.data_received(bytes(MAX_BUFFERED_BYTES + 1))
    states = [client.transport.is_paused]
    proceed.set()
    await client.wait_for_response()
    assert [*states, client.transport.is_paused] == [True, False]


async def test_response_to_a_complete_unread_body_resumes_reading() -> None:
    async def reject(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"", 413)

    client = Client(reject)
    size = MAX_BUFFERED_BYTES + 1
    client.protocol.data_received(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (size, bytes(size)))
    assert (client.transport.data.count(b" 413 "), client.transport.is_paused) == (1, False)
    client.protocol.data_received(REQUEST)
    assert client.transport.data.count(b" 413 ") == 2


@pytest.mark.parametrize("parts", [1, 2])
async def test_trailer_is_no_header(parts: int) -> None:
    """A trailer could otherwise pretend to be a header of the sidecar."""
    scopes: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await respond(send, await read_body(receive))

    client = Client(app)
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    rest = b"4\r\nbody\r\n0\r\nX-Jwt-Payload: forged\r\n\r\n"
    for data in [head + rest] if parts == 1 else [head, rest]:
        client.protocol.data_received(data)
    assert await client.wait_for_response() == RESPONSE
    assert scopes[0]["headers"] == [(b"transfer-encoding", b"chunked")]


async def test_unread_body_pauses_reading() -> None:
    proceed, sizes = asyncio.Event(), []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await proceed.wait()
        sizes.append(len((await receive())["body"]))
        sizes.append(len((await receive())["body"]))
        await respond(send, b"")

    client = Client(app)
    client.protocol.data_received(b"POST / HTTP/1.1\r\nContent-Length: 65540\r\n\r\n")
    states = []
    for size in (MAX_BUFFERED_BYTES, 1):
        client.protocol.data_received(bytes(size))
        states.append(client.transport.is_paused)
    assert states == [False, True]
    proceed.set()
    await wait_until_async(lambda: not client.transport.is_paused)
    client.protocol.data_received(bytes(3))
    await client.wait_for_response()
    assert sizes == [MAX_BUFFERED_BYTES + 1, 3]


async def test_response_waits_while_client_does_not_read() -> None:
    client = Client(echo)
    client.protocol.pause_writing()
    client.protocol.data_received(REQUEST)
    await asyncio.sleep(0)
    assert client.transport.data == b""
    client.protocol.resume_writing()
    assert await client.wait_for_response() == RESPONSE


@pytest.mark.parametrize("is_writing_paused", [True, False])
async def test_application_receives_disconnection(is_writing_paused: bool) -> None:
    messages: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await read_body(receive)
        if is_writing_paused:
            await respond(send, b"")
        messages.append(await receive())

    client = Client(app)
    if is_writing_paused:
        client.protocol.pause_writing()
    client.protocol.data_received(REQUEST)
    assert messages == []
    client.protocol.connection_lost(None)
    await client.wait_for_response()
    assert messages == [{"type": "http.disconnect"}]
    assert (client.transport.data, client.state.connections) == (b"", set())


@pytest.mark.parametrize(
    ("parts", "messages"),
    [
        ([REQUEST], [{"type": "http.request", "body": b"body", "more_body": False}]),
        ([REQUEST[:-2], b"dy"], [{"type": "http.request", "body": b"body", "more_body": False}]),
        ([REQUEST[:-2]], []),
        ([REQUEST.removesuffix(b"body")], []),
    ],
)
async def test_complete_body_is_received_before_disconnection(parts: list[bytes], messages: list[Message]) -> None:
    proceed = asyncio.Event()
    received: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await proceed.wait()
        while not received or received[-1]["type"] != "http.disconnect":
            received.append(await receive())

    client = Client(app)
    for part in parts:
        client.protocol.data_received(part)
    client.protocol.connection_lost(None)
    proceed.set()
    await client.wait_for_response()
    assert received == [*messages, {"type": "http.disconnect"}]


async def test_rest_of_complete_body_is_received_before_disconnection() -> None:
    proceed, bodies = asyncio.Event(), []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        bodies.append((await receive())["body"])
        await proceed.wait()
        bodies.append(await read_body(receive))

    client = Client(app)
    client.protocol.data_received(REQUEST[:-2])
    client.protocol.data_received(REQUEST[-2:])
    client.protocol.connection_lost(None)
    proceed.set()
    await client.wait_for_response()
    assert bodies == [b"bo", b"dy"]


@pytest.mark.parametrize("protocol", [Http1Protocol, CancellingHttp1Protocol])
async def test_only_cancelling_protocol_cancels_application_at_disconnection(protocol: type[Http1Protocol]) -> None:
    proceed, ends = asyncio.Event(), []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await proceed.wait()
            ends.append("completed")
        except asyncio.CancelledError:
            ends.append("cancelled")
            raise

    client = Client(app, protocol=protocol)
    client.protocol.data_received(REQUEST)
    client.protocol.connection_lost(None)
    await asyncio.sleep(0)
    proceed.set()
    await client.wait_for_response()
    assert ends == ["cancelled" if protocol is CancellingHttp1Protocol else "completed"]


async def test_error_before_the_response_is_an_internal_error() -> None:
    async def fail(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"a", b"b\r\nc: d")]})

    client = Client(fail)
    client.protocol.data_received(b"GET / HTTP/1.1\r\n\r\n")
    assert client.transport.data.startswith(b"HTTP/1.1 500 ")
    assert b"c: d" not in client.transport.data
    assert client.transport.is_closed


async def test_error_in_the_response_closes_connection_before_its_end() -> None:
    async def fail(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
        raise RuntimeError

    client = Client(fail)
    client.protocol.data_received(b"GET / HTTP/1.1\r\n\r\n")
    assert client.transport.data.endswith(b"\r\n\r\n4\r\npart\r\n")
    assert client.transport.is_closed


async def test_unused_connection_is_closed_after_keep_alive() -> None:
    proceed = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await proceed.wait()
        await echo(scope, receive, send)

    unused, used = Client(app, 0.01), Client(app, 0.01)
    used.protocol.data_received(REQUEST)
    await wait_until_async(lambda: unused.transport.is_closed)
    assert not used.transport.is_closed
    proceed.set()
    assert await used.wait_for_response() == RESPONSE
    await wait_until_async(lambda: used.transport.is_closed)


async def test_shutdown_closes_unused_connection_and_completes_response() -> None:
    proceed = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await proceed.wait()
        await echo(scope, receive, send)

    unused, used = Client(app), Client(app)
    used.protocol.data_received(REQUEST)
    for client in (unused, used):
        client.protocol.shutdown()
    assert (unused.transport.is_closed, used.transport.is_closed) == (True, False)
    proceed.set()
    assert b"connection: close\r\n" in await used.wait_for_response()
    assert used.transport.is_closed
