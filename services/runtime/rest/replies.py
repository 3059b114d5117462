"""What a handler returned, as bytes."""

from typing import Any

import msgspec
from starlette.types import Send

from services.runtime.rest.types import Blob, Reply

SAFE = ("GET", "HEAD")
"""The methods for which If-None-Match counts."""

type Head = list[tuple[bytes, bytes]]

_encode = msgspec.json.Encoder().encode


def encode(reply: Reply[Any], status: int, if_none_match: bytes | None) -> tuple[int, Head, bytes]:
    """Status, headers and body; 304 without a body when the client has what it would get."""
    head = [(name.lower().encode(), value.encode("latin-1")) for name, value in reply.headers.items()]
    if reply.replayed:
        head.append((b"idempotency-replayed", b"true"))
    if if_none_match is not None and matches(if_none_match, reply.headers.get("ETag")):
        return 304, head, b""
    if reply.body is None:
        return status, head, b""
    if isinstance(reply.body, Blob):
        media, body = reply.body.media_type.encode(), reply.body.content
        return status, [*head, (b"content-type", media), (b"content-length", b"%d" % len(body))], body
    body = _encode(reply.body)
    return status, [*head, *json_head(body)], body


def json_head(body: bytes) -> Head:
    """What every JSON body is sent with."""
    return [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]


async def respond(send: Send, status: int, head: Head, body: bytes) -> None:
    """Sends all of it."""
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})


def matches(if_none_match: bytes, etag: str | None) -> bool:
    """Whether one of the header's tags is the ETag, by weak comparison."""
    if etag is None:
        return False
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.decode("latin-1").split(",")}
    return "*" in tags or etag.removeprefix("W/") in tags
