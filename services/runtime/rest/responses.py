"""What a handler returned, as bytes."""

from typing import Any

import msgspec
from starlette.types import Send

from services.runtime.rest.types import BinaryResponse, Response

SAFE_METHODS = ("GET", "HEAD")
"""The methods for which If-None-Match counts."""

type ResponseHeaders = list[tuple[bytes, bytes]]

_encode_json = msgspec.json.Encoder().encode


def encode_response(
    response: Response[Any], status: int, if_none_match: bytes | None
) -> tuple[int, ResponseHeaders, bytes]:
    """Status, headers and body; 304 without a body when the client has what it would get."""
    head = [(name.lower().encode(), value.encode("latin-1")) for name, value in response.headers.items()]
    if response.replayed:
        head.append((b"idempotency-replayed", b"true"))
    if if_none_match is not None and matches_etag(if_none_match, response.headers.get("ETag")):
        return 304, head, b""
    if response.body is None:
        return status, head, b""
    if isinstance(response.body, BinaryResponse):
        media, body = response.body.media_type.encode(), response.body.content
        return status, [*head, (b"content-type", media), (b"content-length", b"%d" % len(body))], body
    body = _encode_json(response.body)
    return status, [*head, *json_headers(body)], body


def json_headers(body: bytes) -> ResponseHeaders:
    """What every JSON body is sent with."""
    return [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]


async def send_response(send: Send, status: int, headers: ResponseHeaders, body: bytes) -> None:
    """Sends all of it."""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def matches_etag(if_none_match: bytes, etag: str | None) -> bool:
    """Whether one of the header's tags is the ETag, by weak comparison."""
    if etag is None:
        return False
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.decode("latin-1").split(",")}
    return "*" in tags or etag.removeprefix("W/") in tags
