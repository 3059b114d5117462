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

from deploy.traces import query
from deploy.traces.intake import HttpIntake
from deploy.traces.store import Store

STATIC = Path(__file__).with_name("static")
FILES = {"page.js": "text/javascript", "page.css": "text/css", "icon.svg": "image/svg+xml"}
HEADERS = {
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


class Guarded:
    """Sets HEADERS."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._app(scope, receive, watched)


def _answer(data: Any, status: int = 200, total: int = 0, errors: list[dict[str, Any]] | None = None) -> Response:
    made = {"data": data, "total": total, "limit": 0, "offset": 0, "errors": errors}
    return Response(msgspec.json.encode(made), status, media_type="application/json")


def _refused(status: int, why: str) -> Response:
    return _answer(None, status, errors=[{"code": status, "msg": why}])


class Query:
    """Jaeger's paths, and `/api/summaries` beside them: what the page's own list needs of each trace."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route("/api/services", self.services),
            Route("/api/services/{service:path}/operations", self.names),
            Route("/api/operations", self.operations),
            Route("/api/traces", self.traces),
            Route("/api/traces/{trace_id}", self.trace),
            Route("/api/summaries", self.summaries),
            Route("/api/dependencies", self.dependencies),
        ]

    async def services(self, _request: Request) -> Response:
        """Names."""
        found = sorted({service for service, _, _ in self._store.operations()})
        return _answer(found, total=len(found))

    async def names(self, request: Request) -> Response:
        """A service's operations, by name."""
        wanted = request.path_params["service"]
        found = sorted({operation for service, operation, _ in self._store.operations() if service == wanted})
        return _answer(found, total=len(found))

    async def operations(self, request: Request) -> Response:
        """A service's operations, by name and kind."""
        wanted, kind = request.query_params.get("service", ""), request.query_params.get("spanKind")
        found = [
            {"name": operation, "spanKind": kind_of}
            for service, operation, kind_of in self._store.operations()
            if service == wanted and kind in (None, "", kind_of)
        ]
        return _answer(found, total=len(found))

    async def traces(self, request: Request) -> Response:
        """Traces that are searched for, or named by `traceID`."""
        named = request.query_params.getlist("traceID")
        if named:
            found = [trace for name in named if (trace := self._store.trace(name.lower().zfill(32)))]
        else:
            try:
                found = self._store.newest(query.search(request.query_params), query.many(request.query_params))
            except query.BadQuery as error:
                return _refused(400, str(error))
        return _answer([query.jaeger(trace) for trace in found])

    async def trace(self, request: Request) -> Response:
        """One trace."""
        trace = self._store.trace(request.path_params["trace_id"].lower().zfill(32))
        return _refused(404, "trace not found") if trace is None else _answer([query.jaeger(trace)])

    async def summaries(self, request: Request) -> Response:
        """As `traces`, each in a few words."""
        try:
            found = self._store.newest(query.search(request.query_params), query.many(request.query_params))
        except query.BadQuery as error:
            return _refused(400, str(error))
        return _answer([query.summary(trace) for trace in found], total=len(self._store))

    async def dependencies(self, request: Request) -> Response:
        """Who called whom how often."""
        try:
            calls = self._store.calls(*query.window(request.query_params, int(time.time() * 1000) + 60_000))
        except query.BadQuery as error:
            return _refused(400, str(error))
        return _answer([{"parent": a, "child": b, "callCount": number} for (a, b), number in sorted(calls.items())])


def page(store: Store) -> ASGIApp:
    """What listens on 16686. A trace's address is the same as Jaeger's: /trace/{trace_id}."""

    async def index(_request: Request) -> Response:
        return FileResponse(STATIC / "index.html", media_type="text/html")

    async def file(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in FILES:
            return Response("not found", 404, media_type="text/plain")
        return FileResponse(STATIC / name, media_type=FILES[name])

    shown = [Route(path, index) for path in ("/", "/search", "/trace/{trace_id}", "/dependencies")]
    return Guarded(Starlette(routes=[*shown, Route("/static/{name}", file), *Query(store).routes()]))


def collector(store: Store) -> ASGIApp:
    """What takes OTLP by HTTP."""
    return Guarded(Starlette(routes=[Route("/v1/traces", HttpIntake(store).take, methods=["POST"])]))
