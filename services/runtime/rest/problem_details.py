"""Problem details (RFC 9457) for all errors, and the server span and duration metric of every request."""

import asyncio
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
from services.runtime.core import localisation
from services.runtime.core.errors import ApiError, ReauthenticationRequiredError
from services.runtime.rest import ProblemException
from services.runtime.rpc import error_status
from services.runtime.telemetry import http_server, tracing
from services.runtime.telemetry.histograms import CLOCK

log = logging.getLogger(__name__)

_REASON_BY_STATUS = {400: Reason.INVALID_REQUEST, 404: Reason.NOT_FOUND, 405: Reason.METHOD_NOT_ALLOWED}


def build_problem_document(
    api_error: ApiError, instance: str, language: str = localisation.DEFAULT_LANGUAGE
) -> dict[str, Any]:
    """Return the problem document of an error, with texts in a language."""
    problem = PROBLEMS[api_error.reason]
    document: dict[str, Any] = {
        **api_error.members,
        "type": f"/problems/{api_error.reason}",
        "title": problem.title,
        "status": problem.status,
        "detail": _build_detail(api_error, language),
        "reason": api_error.reason,
        "instance": instance,
        "trace_id": tracing.get_current_trace_id(),
    }
    if api_error.errors:
        document["errors"] = [
            {
                "field": error.field,
                "message": localisation.find_translation(error.message, language) or error.message,
            }
            for error in api_error.errors
        ]
    return document


def _build_detail(api_error: ApiError, language: str) -> str:
    """Return the error's own sentence in the language, or that of the catalogue if its translation is unknown."""
    return localisation.find_translation(api_error.detail, language) or localisation.render_detail(
        api_error.reason, api_error.members, language
    )


def iter_problem_headers(api_error: ApiError, language: str) -> Iterator[tuple[bytes, bytes]]:
    """Yield the response headers of a problem document."""
    yield b"content-type", b"application/problem+json"
    yield b"content-language", language.encode()
    yield b"vary", b"Accept-Language"
    yield b"cache-control", b"no-store"
    if PROBLEMS[api_error.reason].status == 401 and "WWW-Authenticate" not in api_error.headers:
        yield b"www-authenticate", _build_challenge(api_error).encode()
    if api_error.retry_after is not None:
        yield b"retry-after", b"%d" % api_error.retry_after
    for name, value in api_error.headers.items():
        yield name.lower().encode(), value.encode("latin-1")


def _build_challenge(api_error: ApiError) -> str:
    """Return the challenge of RFC 6750, or of RFC 9470 if the caller has to sign in again."""
    if isinstance(api_error, ReauthenticationRequiredError):
        max_age_s = int(api_error.max_age.total_seconds())
        return f'Bearer error="insufficient_user_authentication", max_age={max_age_s}'
    if api_error.reason is Reason.TOKEN_REVOKED:
        return 'Bearer error="invalid_token", error_description="The token is revoked."'
    return "Bearer"


def to_api_error(error: Exception) -> ApiError:
    """Map an exception to the error that the client receives. An unexpected one becomes INTERNAL without details."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, HTTPException | ProblemException):
        status = error.status_code if isinstance(error, HTTPException) else error.status
        if status in _REASON_BY_STATUS:
            return ApiError(_REASON_BY_STATUS[status], headers=error.headers or {})
    return ApiError(Reason.INTERNAL)


class ProblemDetailsMiddleware:
    """Outermost middleware: starts the server span and answers exceptions with a problem document."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        parent, scheme = _read_headers(scope)
        # The raw method and path are not recorded, as a client may put anything into them.
        method = http_server.normalise_method(scope["method"])
        attributes = http_server.build_attributes(method, scheme)
        is_started = False
        # Middlewares copy the scope but share this dictionary, in which the router stores the operation.
        extensions = scope["extensions"] = dict(scope.get("extensions") or {})
        started_at = CLOCK()
        status = http_server.NO_RESPONSE

        async def send_and_record(message: Message) -> None:
            nonlocal is_started, status
            if message["type"] == "http.response.start":
                is_started = True
                status = message["status"]
                if span.is_recording():
                    tracing.record_http_response(span, status, min_error_status=500)
            await send(message)

        with tracing.start_span(http_server.format_span_name(method), SpanKind.SERVER, parent, attributes) as span:
            try:
                await self._app(scope, receive, send_and_record)
            except asyncio.CancelledError:
                # The shutdown of the server cancels requests that outlast its grace period.
                if not is_started:
                    retry_after_s = error_status.UNAVAILABLE_RETRY_AFTER_S
                    error = ApiError(Reason.UPSTREAM_UNAVAILABLE, retry_after=retry_after_s)
                    await send_problem(error, scope, send_and_record)
                raise
            # Outermost handler: every exception becomes a problem document.
            except Exception as error:
                api_error = to_api_error(error)
                if api_error.reason is Reason.INTERNAL:
                    log.exception("request failed: %s %s", scope["method"], scope["path"])
                    trace.get_current_span().record_exception(error)
                if is_started:
                    raise
                await send_problem(api_error, scope, send_and_record)
            finally:
                operation = extensions.get(ROUTING_CONTEXT, http_server.UNMATCHED_OPERATION)
                operation_id, route = operation["operation_id"], operation["http_route"]
                if span.is_recording():
                    if route:
                        span.update_name(operation_id)
                    span.set_attributes(http_server.build_route_attributes(route))
                duration = http_server.bind_duration(operation_id, route, method, scheme)
                duration.record(status, CLOCK() - started_at)


def _read_headers(scope: Scope) -> tuple[dict[str, str], str]:
    """Return the trace context headers, and the scheme of the client's request to the edge."""
    parent, scheme = {}, scope.get("scheme", "http")
    for name, value in scope["headers"]:
        if name in tracing.CONTEXT_HEADERS:
            parent[name.decode()] = value.decode("latin-1")
        elif name == b"x-forwarded-proto" and value == b"https":
            scheme = "https"
    return parent, scheme


def _read_accept_language(scope: Scope) -> str:
    return ",".join(value.decode("latin-1") for name, value in scope["headers"] if name == b"accept-language")


def to_uri_reference(path: str) -> str:
    """Return a decoded path as a URI reference (RFC 3986)."""
    encoded = quote(path, safe="/:@!$&'()*+,;=~")
    # After two leading slashes the next segment would be parsed as a host.
    return f"/%2F{encoded[2:]}" if encoded.startswith("//") else encoded


async def send_problem(api_error: ApiError, scope: Scope, send: Send) -> None:
    """Send the problem document of an error."""
    language = localisation.select_language(_read_accept_language(scope))
    body = msgspec.json.encode(build_problem_document(api_error, to_uri_reference(scope["path"]), language))
    status = PROBLEMS[api_error.reason].status
    headers = [*iter_problem_headers(api_error, language), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
