"""HTTP helpers: request parsing, JSON responses, errors and the limit of bodies."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

MAX_BODY_BYTES = 256 * 1024
"""Maximum size of a request body."""

FORM_MEDIA_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")


class HttpError(Exception):
    """Error response with a status and a detail."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


async def render_problem(_: Request, error: Exception) -> Response:
    """Return the problem document (RFC 9457) of an HttpError."""
    if not isinstance(error, HttpError):
        raise error
    problem = {
        "type": "about:blank",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": error.detail,
    }
    return Response(msgspec.json.encode(problem), error.status, media_type="application/problem+json")


def create_json_response(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON response."""
    return Response(msgspec.json.encode(content), status, headers, media_type="application/json")


def is_form_request(request: Request) -> bool:
    """Return whether the request was sent by an HTML form."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() in FORM_MEDIA_TYPES


async def read_form_fields(request: Request) -> dict[str, str]:
    """Return the fields of a form, without files. Call only if `is_form_request`."""
    async with request.form(max_files=0, max_fields=50) as form:
        return {name: value for name, value in form.items() if isinstance(value, str)}


async def read_body[T](request: Request, model: type[T]) -> T:
    """Return a JSON body or the fields of an HTML form as `model`. Raises HttpError 400 if they are invalid."""
    if is_form_request(request):
        return convert_form(await read_form_fields(request), model)
    return await read_json_body(request, model)


async def read_json_body[T](request: Request, model: type[T]) -> T:
    """Return the body decoded as `model`. Raises HttpError 400 if it is invalid."""
    return decode_json(await request.body(), model)


def decode_json[T](body: bytes, model: type[T]) -> T:
    """Return the bytes decoded as `model`. Raises HttpError 400 if they are invalid."""
    try:
        return msgspec.json.decode(body, type=model)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise HttpError(400, str(error)) from None


def convert_form[T](form: Mapping[str, Any], model: type[T]) -> T:
    """Return a form's fields converted to `model`. Raises HttpError 400 if they are invalid."""
    try:
        return msgspec.convert(form, type=model, strict=False)
    except msgspec.ValidationError as error:
        raise HttpError(400, str(error)) from None


class BodyLimitMiddleware:
    """ASGI middleware that limits the body size."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle an ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = bytearray()
        has_more = True
        while has_more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            has_more = message.get("more_body", False)
            if len(body) > MAX_BODY_BYTES:
                await Response("request body too large", 413, {"connection": "close"}, media_type="text/plain")(
                    scope, receive, send
                )
                return
        is_body_sent = False

        async def receive_buffered() -> dict[str, Any]:
            nonlocal is_body_sent
            if is_body_sent:
                return dict(await receive())
            is_body_sent = True
            return {"type": "http.request", "body": bytes(body), "more_body": False}

        await self._app(scope, receive_buffered, send)
