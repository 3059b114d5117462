"""Responses of the ASGI application of unary calls: messages, status, deadlines and disconnected callers."""

import asyncio
from collections.abc import Mapping
from typing import Any

import grpc
import pytest

from services.runtime.sidecar import grpc_messages
from services.runtime.sidecar.grpc_messages import StatusError
from services.runtime.sidecar.unary_app import MAX_BODY_BYTES, UnaryApp, UnaryHandler

PATH = "/sample.v1.EchoService/Echo"


class Exchange:
    """Request of one call and the response to it."""

    def __init__(self, *parts: bytes, path: str = PATH, **headers: str) -> None:
        headers.setdefault("content_type", "application/grpc+proto")
        names = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
        self.scope = {"type": "http", "path": path, "headers": list(names.items())}
        self._parts = list(parts) or [grpc_messages.encode_frame(b"request")]
        self.disconnected = asyncio.Event()
        self.sent: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        if self._parts:
            body = self._parts.pop(0)
            return {"type": "http.request", "body": body, "more_body": bool(self._parts)}
        await self.disconnected.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    async def run(self, handler: UnaryHandler) -> None:
        await UnaryApp({PATH: handler})(self.scope, self.receive, self.send)

    @property
    def headers(self) -> dict[str, str]:
        start = self.sent[0]
        assert start["type"] == "http.response.start"
        return {name.decode(): value.decode() for name, value in start["headers"]}

    @property
    def body(self) -> bytes:
        _, message = self.sent
        assert message["type"] == "http.response.body"
        body: bytes = message["body"]
        return body

    @property
    def code(self) -> str:
        number = int(self.headers["grpc-status"])
        return next(code.name for code in grpc.StatusCode if code.value[0] == number)


async def echo(data: bytes, metadata: Mapping[str, str], timeout_s: float | None) -> bytes:
    return data


async def hang(data: bytes, metadata: Mapping[str, str], timeout_s: float | None) -> bytes:
    await asyncio.Event().wait()
    return b""


async def test_response_has_message_and_no_status() -> None:
    exchange = Exchange(b"\0\0\0", b"\0\x03abc")
    await exchange.run(echo)
    assert exchange.sent[0]["status"] == 200
    assert exchange.headers == {"content-type": "application/grpc", "content-length": "8"}
    assert exchange.body == b"\0\0\0\0\x03abc"


async def test_handler_receives_metadata_and_timeout() -> None:
    received: list[Any] = []

    async def record(data: bytes, metadata: Mapping[str, str], timeout_s: float | None) -> bytes:
        received.extend((data, metadata["traceparent"], timeout_s))
        return b""

    await Exchange(traceparent="00-1", grpc_timeout="2500m").run(record)
    await Exchange(traceparent="00-2").run(record)
    assert received == [b"request", "00-1", 2.5, b"request", "00-2", None]


async def test_status_is_in_headers_of_response_without_message() -> None:
    async def reject(data: bytes, metadata: Mapping[str, str], timeout_s: float | None) -> bytes:
        raise StatusError(grpc.StatusCode.NOT_FOUND, "no order", [("grpc-status-details-bin", b"\1")])

    exchange = Exchange()
    await exchange.run(reject)
    assert exchange.sent[0]["status"] == 200
    assert exchange.headers == {
        "content-type": "application/grpc",
        "content-length": "0",
        "grpc-status": "5",
        "grpc-message": "no order",
        "grpc-status-details-bin": "AQ==",
    }
    assert exchange.body == b""


@pytest.mark.parametrize(
    ("exchange", "code"),
    [
        (lambda: Exchange(path="/sample.v1.EchoService/Nothing"), "UNIMPLEMENTED"),
        (lambda: Exchange(b""), "INTERNAL"),
        (lambda: Exchange(grpc_timeout="soon"), "INTERNAL"),
        (lambda: Exchange(b"x" * MAX_BODY_BYTES, b"x"), "RESOURCE_EXHAUSTED"),
    ],
    ids=["unknown method", "no message", "malformed timeout", "large"],
)
async def test_invalid_call_is_rejected(exchange: Any, code: str) -> None:
    call = exchange()
    await call.run(echo)
    assert call.code == code


@pytest.mark.parametrize(("content_type", "status"), [("application/grpc", 200), ("text/plain", 415)])
async def test_request_without_grpc_content_type_is_rejected(content_type: str, status: int) -> None:
    exchange = Exchange(content_type=content_type)
    await exchange.run(echo)
    assert exchange.sent[0]["status"] == status
    assert (exchange.body == b"") == (status == 415)


async def test_deadline_ends_handler() -> None:
    exchange = Exchange(grpc_timeout="20m")
    await exchange.run(hang)
    assert exchange.code == "DEADLINE_EXCEEDED"


async def test_caller_that_disconnects_in_the_request_ends_the_call() -> None:
    exchange = Exchange(b"\0\0\0", b"")
    exchange.disconnected.set()
    await asyncio.wait_for(exchange.run(hang), 5)


async def test_shutdown_is_reported_as_cancelled() -> None:
    exchange = Exchange()
    task = asyncio.create_task(exchange.run(hang))
    await asyncio.sleep(0)
    task.cancel()
    await task
    assert exchange.code == "CANCELLED"
