"""Encoding of handler results as HTTP responses, with conditional requests (If-None-Match)."""

from typing import Any

import msgspec
from starlette.types import Message, Send

from services.runtime.rest.types import BinaryResponse, Response

SAFE_METHODS = ("GET", "HEAD")
"""Methods to which If-None-Match applies."""

JSON_MEDIA_TYPE = "application/json"

NO_STORE = "private, no-store"
"""Cache policy of responses to one user."""

_VARY = (b"vary", b"Authorization")
_CACHE_CONTROL = (b"cache-control", NO_STORE.encode())

type ResponseHeaders = list[tuple[bytes, bytes]]

_encode_json = msgspec.json.Encoder().encode


def encode_response(
    response: Response[Any], status: int, if_none_match: bytes | None, media_type: str = JSON_MEDIA_TYPE
) -> tuple[int, ResponseHeaders, bytes]:
    """Return status, headers and body; 304 without a body when If-None-Match matches the ETag.

    `media_type` is that of a body which is not binary.
    """
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in response.headers.items()]
    if response.replayed:
        headers.append((b"idempotency-replayed", b"true"))
    if if_none_match is not None and matches_etag(if_none_match, response.headers.get("ETag")):
        return 304, headers, b""
    if response.body is None:
        return status, headers, b""
    if isinstance(response.body, BinaryResponse):
        body = response.body.content
        return status, [*headers, *build_content_headers(body, response.body.media_type)], body
    body = _encode_json(response.body)
    return status, [*headers, *build_content_headers(body, media_type)], body


def build_content_headers(body: bytes, media_type: str) -> ResponseHeaders:
    """Return the headers of a body."""
    return [(b"content-type", media_type.encode()), (b"content-length", b"%d" % len(body))]


def is_json(media_type: str) -> bool:
    """Return whether a media type is JSON: application/json, or one with the suffix +json."""
    return media_type == JSON_MEDIA_TYPE or media_type.endswith("+json")


async def send_response(send: Send, status: int, headers: ResponseHeaders, body: bytes) -> None:
    """Send a complete response."""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def add_private_headers(headers: ResponseHeaders) -> ResponseHeaders:
    """Return the headers of a response to one user, which no cache may return to another user of the same client.

    They have `Vary: Authorization`, and `Cache-Control: private, no-store` unless the response has a policy of its own.
    """
    if any(name == b"cache-control" for name, _ in headers):
        return [*headers, _VARY]
    return [*headers, _VARY, _CACHE_CONTROL]


def wrap_private_send(send: Send) -> Send:
    """Return a `send` for streams to one user, which adds the headers of a private response."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": add_private_headers(message["headers"])}
        await send(message)

    return send_with_headers


def matches_etag(if_none_match: bytes, etag: str | None) -> bool:
    """Return whether an If-None-Match header matches the ETag by weak comparison."""
    if etag is None:
        return False
    listed = {etag.strip().removeprefix("W/") for etag in if_none_match.decode("latin-1").split(",")}
    return "*" in listed or etag.removeprefix("W/") in listed
