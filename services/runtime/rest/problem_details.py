"""Errors as `application/problem+json` (RFC 9457), whoever raised them; and the span that every request has."""

import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import msgspec
from connexion.middleware.abstract import ROUTING_CONTEXT
from opentelemetry import trace
from opentelemetry.trace import SpanKind
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from generated.problems import PROBLEMS, Reason
from services.runtime.core.errors import ApiError
from services.runtime.rest import ProblemException
from services.runtime.telemetry import metrics, tracing
from services.runtime.telemetry.histograms import CLOCK

log = logging.getLogger(__name__)

CLIENT_CLOSED_REQUEST = 499
"""Counted for a client that left before its answer began; nobody is sent it."""

UNMATCHED_OPERATION = {"operation_id": metrics.OTHER}
"""Documents, and what the contract has no operation for."""

_REASON_BY_STATUS = {400: Reason.INVALID_REQUEST, 404: Reason.NOT_FOUND, 405: Reason.METHOD_NOT_ALLOWED}


def build_problem_document(api_error: ApiError, instance: str) -> dict[str, Any]:
    """The refusal as clients read it."""
    problem = PROBLEMS[api_error.reason]
    made: dict[str, Any] = {
        "type": f"/problems/{api_error.reason}",
        "title": problem.title,
        "status": problem.status,
        "detail": api_error.detail,
        "reason": api_error.reason,
        "instance": instance,
        "trace_id": tracing.get_current_trace_id(),
    }
    if api_error.errors:
        made["errors"] = [{"field": error.field, "message": error.message} for error in api_error.errors]
    return made


def iter_problem_headers(api_error: ApiError) -> Iterator[tuple[bytes, bytes]]:
    """What goes with it."""
    yield b"content-type", b"application/problem+json"
    yield b"cache-control", b"no-store"
    if PROBLEMS[api_error.reason].status == 401 and "WWW-Authenticate" not in api_error.headers:
        yield b"www-authenticate", b"Bearer"
    if api_error.retry_after is not None:
        yield b"retry-after", b"%d" % api_error.retry_after
    for name, value in api_error.headers.items():
        yield name.lower().encode(), value.encode("latin-1")


def to_api_error(error: Exception) -> ApiError:
    """What an exception means to a client. One that is ours to mend says nothing but that."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, HTTPException | ProblemException):
        status = error.status_code if isinstance(error, HTTPException) else error.status
        if status in _REASON_BY_STATUS:
            return ApiError(_REASON_BY_STATUS[status], headers=error.headers or {})
    return ApiError(Reason.INTERNAL)


class ProblemDetailsMiddleware:
    """The outermost middleware: a span around the request, and a problem document for whatever is raised inside."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        parent = {
            name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name.startswith(b"trace")
        }
        # The path itself stays out: what a client writes into it may be anything. The operation adds its route.
        attributes = {"http.request.method": scope["method"], "url.scheme": scope.get("scheme", "http")}
        started = False
        # What routes the request says so in here, whoever copies the scope on the way.
        extensions = scope["extensions"] = dict(scope.get("extensions") or {})
        began = CLOCK()
        status = CLIENT_CLOSED_REQUEST

        async def watched(message: Message) -> None:
            nonlocal started, status
            if message["type"] == "http.response.start":
                started = True
                status = message["status"]
                span.set_attribute("http.response.status_code", message["status"])
                if message["status"] >= 500:
                    tracing.record_error(span, str(message["status"]))
            await send(message)

        with tracing.start_span(scope["method"], SpanKind.SERVER, parent, attributes) as span:
            try:
                await self._app(scope, receive, watched)
            # The guard: whatever was raised ends here as a document, for nobody further out could tell the client.
            except Exception as error:
                refusal = to_api_error(error)
                if refusal.reason is Reason.INTERNAL:
                    log.exception("%s %s failed", scope["method"], scope["path"])
                    trace.get_current_span().record_exception(error)
                if started:
                    raise
                await send_problem(refusal, scope, watched)
            finally:
                operation = extensions.get(ROUTING_CONTEXT, UNMATCHED_OPERATION)["operation_id"]
                metrics.HTTP_SERVER_DURATION.for_operation(operation).record(str(status), CLOCK() - began)


def to_uri_reference(path: str) -> str:
    """A decoded path as a URI reference (RFC 3986)."""
    encoded = quote(path, safe="/:@!$&'()*+,;=~")
    # Two slashes at the start would make the next segment a host.
    return f"/%2F{encoded[2:]}" if encoded.startswith("//") else encoded


async def send_problem(api_error: ApiError, scope: Scope, send: Send) -> None:
    """Sends the document."""
    body = msgspec.json.encode(build_problem_document(api_error, to_uri_reference(scope["path"])))
    status = PROBLEMS[api_error.reason].status
    head = [*iter_problem_headers(api_error), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})
