"""ASGI applications: the user interface with Jaeger's query API below /api, and the OTLP collector."""

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
from services.runtime.sidecar.local_requests import LocalRequestsMiddleware

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
"""Headers of every response: only the viewer's own script and style are loaded, and other sites cannot embed it."""


class SecurityHeadersMiddleware:
    """ASGI middleware that adds SECURITY_HEADERS to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(SECURITY_HEADERS)
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _create_json_response(
    data: Any, status: int = 200, total: int = 0, errors: list[dict[str, Any]] | None = None
) -> Response:
    body = {"data": data, "total": total, "limit": 0, "offset": 0, "errors": errors}
    return Response(msgspec.json.encode(body), status, media_type="application/json")


def _create_error_response(status: int, message: str) -> Response:
    return _create_json_response(None, status, errors=[{"code": status, "msg": message}])


class QueryApi:
    """Jaeger's query API, and `/api/summaries` for the trace list of the user interface."""

    def __init__(self, store: TraceStore) -> None:
        self._store = store

    def build_routes(self) -> list[Route]:
        """Return the routes of all endpoints."""
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
        """Return the names of the services."""
        services = sorted({service for service, _, _ in self._store.list_operations()})
        return _create_json_response(services, total=len(services))

    async def list_operation_names(self, request: Request) -> Response:
        """Return the names of a service's operations."""
        name = request.path_params["service"]
        operations = sorted({operation for service, operation, _ in self._store.list_operations() if service == name})
        return _create_json_response(operations, total=len(operations))

    async def list_operations(self, request: Request) -> Response:
        """Return name and span kind of a service's operations, optionally of one kind."""
        name, filter_kind = request.query_params.get("service", ""), request.query_params.get("spanKind")
        operations = [
            {"name": operation, "spanKind": kind}
            for service, operation, kind in self._store.list_operations()
            if service == name and filter_kind in (None, "", kind)
        ]
        return _create_json_response(operations, total=len(operations))

    async def search_traces(self, request: Request) -> Response:
        """Return the traces with the ids `traceID`, or else those that match the search parameters."""
        trace_ids = request.query_params.getlist("traceID")
        if trace_ids:
            traces = [trace for each in trace_ids if (trace := self._store.get_trace(each.lower().zfill(32)))]
        else:
            try:
                traces = self._store.find_newest(
                    query.parse_search(request.query_params), query.parse_limit(request.query_params)
                )
            except query.InvalidQuery as error:
                return _create_error_response(400, str(error))
        return _create_json_response([query.to_jaeger(trace) for trace in traces])

    async def get_trace(self, request: Request) -> Response:
        """Return a trace, or 404."""
        trace = self._store.get_trace(request.path_params["trace_id"].lower().zfill(32))
        return (
            _create_error_response(404, "trace not found")
            if trace is None
            else _create_json_response([query.to_jaeger(trace)])
        )

    async def list_summaries(self, request: Request) -> Response:
        """Return summaries of the traces that match the search parameters."""
        try:
            traces = self._store.find_newest(
                query.parse_search(request.query_params), query.parse_limit(request.query_params)
            )
        except query.InvalidQuery as error:
            return _create_error_response(400, str(error))
        return _create_json_response([query.build_summary(trace) for trace in traces], total=len(self._store))

    async def list_dependencies(self, request: Request) -> Response:
        """Return the number of calls between each pair of services."""
        try:
            calls = self._store.count_service_calls(
                *query.parse_time_range(request.query_params, int(time.time() * 1000) + 60_000)
            )
        except query.InvalidQuery as error:
            return _create_error_response(400, str(error))
        return _create_json_response(
            [{"parent": parent, "child": child, "callCount": count} for (parent, child), count in sorted(calls.items())]
        )


def create_viewer_app(store: TraceStore) -> ASGIApp:
    """Return the user interface and query API, on port 16686. Paths are Jaeger's, such as /trace/{trace_id}."""

    async def show_index(_request: Request) -> Response:
        return FileResponse(STATIC_DIR / "index.html", media_type="text/html")

    async def show_static_file(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in STATIC_MEDIA_TYPES:
            return Response("not found", 404, media_type="text/plain")
        return FileResponse(STATIC_DIR / name, media_type=STATIC_MEDIA_TYPES[name])

    pages = [Route(path, show_index) for path in ("/", "/search", "/trace/{trace_id}", "/dependencies")]
    routes = [*pages, Route("/static/{name}", show_static_file), *QueryApi(store).build_routes()]
    return SecurityHeadersMiddleware(LocalRequestsMiddleware(Starlette(routes=routes)))


def create_collector_app(store: TraceStore) -> ASGIApp:
    """Return the receiver of OTLP over HTTP."""
    routes = [Route("/v1/traces", HttpReceiver(store).receive, methods=["POST"])]
    return SecurityHeadersMiddleware(LocalRequestsMiddleware(Starlette(routes=routes)))
