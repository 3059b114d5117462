"""The application: Connexion with a compiled app inside, and a server for it on a unix socket."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import uvicorn
from connexion.middleware import ConnexionMiddleware
from connexion.middleware.abstract import RoutedAPI, RoutedMiddleware
from connexion.middleware.lifespan import LifespanMiddleware
from connexion.resolver import Resolver
from connexion.spec import OpenAPISpecification
from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator
from starlette.types import ASGIApp, Receive, Scope, Send

from generated.problems import Reason
from services.runtime.refusal import Refusal
from services.runtime.rest.documents import Documents
from services.runtime.rest.kept import KeptUntil
from services.runtime.rest.operation import CompiledOperation
from services.runtime.rest.problems import Problems
from services.runtime.rest.routing import TableRouting
from services.runtime.rest.streams import mark
from services.runtime.rest.types import Blob, Operation
from services.runtime.server import remove_stale

_VALIDATORS = {"3.0": OpenAPIV30SpecValidator, "3.1": OpenAPIV31SpecValidator}


def _validate(_: type, spec: dict[str, Any]) -> None:
    """Checks a specification of either version; Connexion's own check only knows 3.0."""
    _validate_once(json.dumps(spec))


@lru_cache(8)
def _validate_once(text: str) -> None:
    """Applications of the same specification differ in their handlers only; what is wrong raises every time."""
    spec = json.loads(text)
    _VALIDATORS[spec["openapi"][:3]](spec).validate()


OpenAPISpecification._validate_spec = classmethod(_validate)


def implementations(handlers: Sequence[object], operations: Mapping[str, Operation]) -> dict[str, Callable[..., Any]]:
    """By operationId, the method that handles it. Raises TypeError when a class has no instance, or several."""
    found = {}
    for name, operation in operations.items():
        owners = [handler for handler in handlers if isinstance(handler, operation.handler)]
        if len(owners) != 1:
            raise TypeError(f"{operation.handler.__name__} needs one handler, {len(owners)} given")
        found[name] = getattr(owners[0], operation.method)
    return found


class CompiledApi(RoutedAPI[CompiledOperation]):  # type: ignore[misc]
    """Compiles each operation as Connexion hands it over, its references followed."""

    def __init__(
        self,
        *args: Any,
        calls: Mapping[str, Callable[..., Any]],
        types: Mapping[str, Operation],
        kept: KeptUntil,
        check_answers: bool,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._calls = calls
        self._types = types
        self._kept = kept
        self._check_answers = check_answers
        self.add_paths()

    def make_operation(self, operation: Any) -> CompiledOperation:
        """One operation."""
        name = operation.operation_id
        return CompiledOperation(
            operation, self._calls[name], self._types[name], self._kept, validate_responses=self._check_answers
        )


class CompiledApp(RoutedMiddleware[CompiledApi]):  # type: ignore[misc]
    """The innermost application; it takes the place of Connexion's own and of its validating middlewares."""

    api_cls = CompiledApi

    def __init__(self, **compiling: Any) -> None:
        super().__init__(_nothing)
        self._compiling = compiling

    def add_api(self, specification: Any, **kwargs: Any) -> CompiledApi:
        """Compiles one document."""
        api: CompiledApi = super().add_api(specification, **kwargs, **self._compiling)
        return api


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    raise Refusal(Reason.NOT_FOUND)


@contextlib.asynccontextmanager
async def _lifespan(_: Any) -> AsyncIterator[dict[str, Any]]:
    """Makes Connexion build its stack at start, where a mistake still ends the process."""
    yield {}


def build(
    spec: dict[str, Any],
    handlers: Sequence[object],
    operations: Mapping[str, Operation],
    documents: Mapping[str, Blob],
    kept: KeptUntil,
    *,
    validate_responses: bool,
) -> ASGIApp:
    """The ASGI application of one document. Raises TypeError when a handler is missing."""
    calls = implementations(handlers, operations)
    connexion = ConnexionMiddleware(
        CompiledApp(calls=calls, types=operations, kept=kept, check_answers=validate_responses),
        import_name=__name__,
        lifespan=_lifespan,
        middlewares=[Problems, partial(Documents, documents=documents), LifespanMiddleware, TableRouting],
    )
    connexion.add_api(spec, resolver=Resolver(calls.__getitem__))
    app: ASGIApp = connexion
    return app


class _Server(uvicorn.Server):
    """Signals are the process's business."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        """Captures none."""
        yield


async def _serve(server: uvicorn.Server) -> None:
    """Raises RuntimeError where uvicorn would end the process."""
    try:
        await server.serve()
    except SystemExit as error:
        raise RuntimeError("the application did not start") from error


@contextlib.asynccontextmanager
async def serving(app: ASGIApp, path: Path, *, grace_s: float) -> AsyncIterator[None]:
    """Serves on the socket, which only its owner may open, while the block runs; then ends streams and drains."""
    remove_stale(path)
    ending = asyncio.Event()

    async def marked(scope: Scope, receive: Receive, send: Send) -> None:
        mark(scope, ending)
        await app(scope, receive, send)

    config = uvicorn.Config(
        marked,
        uds=str(path),
        http="httptools",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=120,
        timeout_graceful_shutdown=max(1, round(grace_s)),
    )
    server = _Server(config)
    task = asyncio.create_task(_serve(server))
    while not server.started:
        done, _ = await asyncio.wait({task}, timeout=0.01)
        if done:
            task.result()
    path.chmod(0o600)
    try:
        yield
    finally:
        ending.set()
        server.should_exit = True
        await task
        path.unlink(missing_ok=True)
