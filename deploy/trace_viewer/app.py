"""The page, and Jaeger's query interface below /api."""

import time
from pathlib import Path
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deploy.trace_viewer import query
from deploy.trace_viewer.otlp_receiver import HttpReceiver
from deploy.trace_viewer.store import TraceStore

STATIC_DIR = Path(__file__).with_name("static")
STATIC_MEDIA_TYPES = {"page.js": "text/javascript", "page.css": "text/css", "icon.svg": "image/svg+xml"}
SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
"""On every answer: nothing runs here but our own two files, and nobody else reads or frames what we say."""


class SecurityHeadersMiddleware:
    """Sets HEADERS."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(SECURITY_HEADERS)
            await send(message)

        await self._app(scope, receive, watched)


def _json_response(
    data: Any, status: int = 200, total: int = 0, errors: list[dict[str, Any]] | None = None
) -> Response:
    made = {"data": data, "total": total, "limit": 0, "offset": 0, "errors": errors}
    return Response(msgspec.json.encode(made), status, media_type="application/json")


def _error_response(status: int, message: str) -> Response:
    return _json_response(None, status, errors=[{"code": status, "msg": message}])


class QueryApi:
    """Jaeger's paths, and `/api/summaries` beside them: what the page's own list needs of each trace."""

    def __init__(self, store: TraceStore) -> None:
        self._store = store

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route("/api/services", self.list_services),
            Route("/api/services/{service:path}/operations", self.list_operation_names),
            Route("/api/operations", self.list_operations),
            Route("/api/traces", self.search_traces),
            Route("/api/traces/{trace_id}", self.get_trace),
            Route("/api/summaries", self.list_summaries),
            Route("/api/dependencies", self.list_dependencies),
        ]

    async def list_services(self, _request: Request) -> Response:
        """Names."""
        found = sorted({service for service, _, _ in self._store.list_operations()})
        return _json_response(found, total=len(found))

    async def list_operation_names(self, request: Request) -> Response:
        """A service's operations, by name."""
        wanted = request.path_params["service"]
        found = sorted({operation for service, operation, _ in self._store.list_operations() if service == wanted})
        return _json_response(found, total=len(found))

    async def list_operations(self, request: Request) -> Response:
        """A service's operations, by name and kind."""
        wanted, kind = request.query_params.get("service", ""), request.query_params.get("spanKind")
        found = [
            {"name": operation, "spanKind": kind_of}
            for service, operation, kind_of in self._store.list_operations()
            if service == wanted and kind in (None, "", kind_of)
        ]
        return _json_response(found, total=len(found))

    async def search_traces(self, request: Request) -> Response:
        """Traces that are searched for, or named by `traceID`."""
        named = request.query_params.getlist("traceID")
        if named:
            found = [trace for name in named if (trace := self._store.get_trace(name.lower().zfill(32)))]
        else:
            try:
                found = self._store.find_newest(
                    query.parse_search(request.query_params), query.parse_limit(request.query_params)
                )
            except query.InvalidQuery as error:
                return _error_response(400, str(error))
        return _json_response([query.to_jaeger(trace) for trace in found])

    async def get_trace(self, request: Request) -> Response:
        """One trace."""
        trace = self._store.get_trace(request.path_params["trace_id"].lower().zfill(32))
        return _error_response(404, "trace not found") if trace is None else _json_response([query.to_jaeger(trace)])

    async def list_summaries(self, request: Request) -> Response:
        """As `traces`, each in a few words."""
        try:
            found = self._store.find_newest(
                query.parse_search(request.query_params), query.parse_limit(request.query_params)
            )
        except query.InvalidQuery as error:
            return _error_response(400, str(error))
        return _json_response([query.build_summary(trace) for trace in found], total=len(self._store))

    async def list_dependencies(self, request: Request) -> Response:
        """Who called whom how often."""
        try:
            calls = self._store.count_service_calls(
                *query.parse_time_range(request.query_params, int(time.time() * 1000) + 60_000)
            )
        except query.InvalidQuery as error:
            return _error_response(400, str(error))
        return _json_response(
            [{"parent": a, "child": b, "callCount": number} for (a, b), number in sorted(calls.items())]
        )


def create_viewer_app(store: TraceStore) -> ASGIApp:
    """What listens on 16686. A trace's address is the same as Jaeger's: /trace/{trace_id}."""

    async def index(_request: Request) -> Response:
        return FileResponse(STATIC_DIR / "index.html", media_type="text/html")

    async def file(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in STATIC_MEDIA_TYPES:
            return Response("not found", 404, media_type="text/plain")
        return FileResponse(STATIC_DIR / name, media_type=STATIC_MEDIA_TYPES[name])

    shown = [Route(path, index) for path in ("/", "/search", "/trace/{trace_id}", "/dependencies")]
    return SecurityHeadersMiddleware(
        Starlette(routes=[*shown, Route("/static/{name}", file), *QueryApi(store).routes()])
    )


def create_collector_app(store: TraceStore) -> ASGIApp:
    """What takes OTLP by HTTP."""
    return SecurityHeadersMiddleware(
        Starlette(routes=[Route("/v1/traces", HttpReceiver(store).receive, methods=["POST"])])
    )
