"""Responses of exchanges in the format of HTTP/1.1."""

import asyncio
from collections.abc import Sequence

import pytest
from starlette.types import Message

from services.runtime.sidecar.http1_exchange import Exchange


class RecordingConnection:
    """Connection that stores the data of responses."""

    resumed: asyncio.Event | None = None
    is_closed = False

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.ended_count = 0

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def resume_reading(self) -> None:
        pass

    def end_exchange(self, exchange: Exchange) -> None:
        self.ended_count += 1


def start(*headers: tuple[bytes, bytes], status: int = 200) -> Message:
    return {"type": "http.response.start", "status": status, "headers": headers}


def send_body(body: bytes, *, more_body: bool = False) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more_body}


async def write_response(
    messages: Sequence[Message], method: str = "GET", *, is_persistent: bool = True
) -> RecordingConnection:
    connection = RecordingConnection()
    exchange = Exchange(connection, {"type": "http", "method": method}, is_persistent=is_persistent)
    for message in messages:
        await exchange.send(message)
    return connection


async def test_head_is_written_with_first_part_of_body() -> None:
    connection = await write_response(
        [start((b"content-length", b"6")), send_body(b"abc", more_body=True), send_body(b"def")]
    )
    assert connection.writes == [b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nabc", b"def"]
    assert connection.ended_count == 1


async def test_body_without_length_is_chunked() -> None:
    parts = [send_body(b"abc", more_body=True), send_body(b"", more_body=True), send_body(b"x" * 16)]
    connection = await write_response([start(), *parts])
    assert connection.writes == [
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"",
        b"10\r\nxxxxxxxxxxxxxxxx\r\n0\r\n\r\n",
    ]


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_response_without_body_is_not_chunked(method: str, status: int) -> None:
    connection = await write_response([start(status=status), send_body(b"")], method)
    (data,) = connection.writes
    assert data.endswith(b"\r\n\r\n")
    assert b"chunked" not in data


async def test_response_to_head_has_length_and_no_body() -> None:
    connection = await write_response([start((b"content-length", b"3")), send_body(b"abc")], "HEAD")
    assert connection.writes == [b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n"]


async def test_last_response_announces_end_of_connection() -> None:
    connection = await write_response([start(status=204), send_body(b"")], is_persistent=False)
    assert connection.writes == [b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"]


@pytest.mark.parametrize("value", [b"a\r\nb: c", b"a\nb", b"a\rb", b"a\0"])
async def test_header_with_line_break_or_nul_is_rejected(value: bytes) -> None:
    with pytest.raises(ValueError, match="line break or NUL"):
        await write_response([start((b"a", value))])
    with pytest.raises(ValueError, match="line break or NUL"):
        await write_response([start((value, b"a"))])


@pytest.mark.parametrize(
    "messages",
    [
        [send_body(b"")],
        [start(), start()],
        [start(), send_body(b""), send_body(b"")],
        [start(), send_body(b""), start()],
    ],
)
async def test_message_out_of_order_is_rejected(messages: Sequence[Message]) -> None:
    with pytest.raises(RuntimeError, match="out of order"):
        await write_response(messages)
