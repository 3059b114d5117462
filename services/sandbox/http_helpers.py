"""Reading requests, answering JSON, refusing: what every part of the sandbox does the same way."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

MAX_BODY_BYTES = 256 * 1024
"""Bytes of a request body; nothing the third parties take is larger."""

FORM_MEDIA_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")


class HttpError(Exception):
    """A request the sandbox does not take."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


async def render_problem(_: Request, error: Exception) -> Response:
    """The problem document (RFC 9457) of a RefusedError."""
    if not isinstance(error, HttpError):
        raise error
    problem = {
        "type": "about:blank",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": error.detail,
    }
    return Response(msgspec.json.encode(problem), error.status, media_type="application/problem+json")


def json_response(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """The content as JSON."""
    return Response(msgspec.json.encode(content), status, headers, media_type="application/json")


def is_form_request(request: Request) -> bool:
    """Whether a person's browser sent this from a page."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() in FORM_MEDIA_TYPES


async def read_form_fields(request: Request) -> dict[str, str]:
    """What a page's form holds, files left out. Call after `is_form`."""
    async with request.form(max_files=0, max_fields=50) as form:
        return {name: value for name, value in form.items() if isinstance(value, str)}


async def read_json_body[T](request: Request, model: type[T]) -> T:
    """The body as `kind`. Raises RefusedError 400 when it is not that."""
    return decode_json(await request.body(), model)


def decode_json[T](body: bytes, model: type[T]) -> T:
    """The bytes as `kind`. Raises RefusedError 400 when they are not that."""
    try:
        return msgspec.json.decode(body, type=model)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise HttpError(400, str(error)) from None


def convert_form[T](form: Mapping[str, Any], model: type[T]) -> T:
    """A form's fields as `kind`. Raises RefusedError 400 when they are not that."""
    try:
        return msgspec.convert(form, type=model, strict=False)
    except msgspec.ValidationError as error:
        raise HttpError(400, str(error)) from None


class RequestGuardMiddleware:
    """Bounds every body, and keeps other sites' pages from pressing the sandbox's buttons."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        if scope["method"] not in ("GET", "HEAD") and headers.get(b"sec-fetch-site") == b"cross-site":
            await Response("another site's page may not do this", 403, media_type="text/plain")(scope, receive, send)
            return
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > MAX_BODY_BYTES:
                await Response("the body is too large", 413, {"connection": "close"}, media_type="text/plain")(
                    scope, receive, send
                )
                return
        read = False

        async def whole() -> dict[str, Any]:
            nonlocal read
            if read:
                return dict(await receive())
            read = True
            return {"type": "http.request", "body": bytes(body), "more_body": False}

        await self._app(scope, whole, send)
