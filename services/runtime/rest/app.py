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
from services.runtime.core.errors import ApiError
from services.runtime.rest.operation import CompiledOperation
from services.runtime.rest.problem_details import ProblemDetailsMiddleware
from services.runtime.rest.response_cache import CachesByEvent
from services.runtime.rest.routing import TableRouter
from services.runtime.rest.server_sent_events import attach_shutdown_event
from services.runtime.rest.static_documents import StaticDocuments
from services.runtime.rest.types import BinaryResponse, Operation
from services.runtime.rpc.server import remove_stale_socket

_VALIDATORS = {"3.0": OpenAPIV30SpecValidator, "3.1": OpenAPIV31SpecValidator}


def _validate_specification(_: type, specification: dict[str, Any]) -> None:
    """Checks a specification of either version; Connexion's own check only knows 3.0."""
    _validate_specification_json(json.dumps(specification))


@lru_cache(8)
def _validate_specification_json(specification_json: str) -> None:
    """Applications of the same specification differ in their handlers only; what is wrong raises every time."""
    spec = json.loads(specification_json)
    _VALIDATORS[spec["openapi"][:3]](spec).validate()


OpenAPISpecification._validate_spec = classmethod(_validate_specification)


def bind_handlers(handlers: Sequence[object], operations: Mapping[str, Operation]) -> dict[str, Callable[..., Any]]:
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
        handlers_by_id: Mapping[str, Callable[..., Any]],
        operations: Mapping[str, Operation],
        caches: CachesByEvent,
        validate_responses: bool,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._handlers_by_id = handlers_by_id
        self._operations = operations
        self._caches = caches
        self._validate_responses = validate_responses
        self.add_paths()

    def make_operation(self, operation: Any) -> CompiledOperation:
        """One operation."""
        name = operation.operation_id
        return CompiledOperation(
            operation,
            self._handlers_by_id[name],
            self._operations[name],
            self._caches,
            validate_responses=self._validate_responses,
        )


class CompiledApp(RoutedMiddleware[CompiledApi]):  # type: ignore[misc]
    """The innermost application; it takes the place of Connexion's own and of its validating middlewares."""

    api_cls = CompiledApi

    def __init__(self, **options: Any) -> None:
        super().__init__(_raise_not_found)
        self._compile_options = options

    def add_api(self, specification: Any, **kwargs: Any) -> CompiledApi:
        """Compiles one document."""
        api: CompiledApi = super().add_api(specification, **{**kwargs, **self._compile_options})
        return api


async def _raise_not_found(scope: Scope, receive: Receive, send: Send) -> None:
    raise ApiError(Reason.NOT_FOUND)


@contextlib.asynccontextmanager
async def _lifespan(_: Any) -> AsyncIterator[dict[str, Any]]:
    """Makes Connexion build its stack at start, where a mistake still ends the process."""
    yield {}


def build_app(
    specification: dict[str, Any],
    handlers: Sequence[object],
    operations: Mapping[str, Operation],
    documents: Mapping[str, BinaryResponse],
    caches: CachesByEvent,
    *,
    validate_responses: bool,
) -> ASGIApp:
    """The ASGI application of one document. Raises TypeError when a handler is missing."""
    handlers_by_id = bind_handlers(handlers, operations)
    connexion = ConnexionMiddleware(
        CompiledApp(
            handlers_by_id=handlers_by_id, operations=operations, caches=caches, validate_responses=validate_responses
        ),
        import_name=__name__,
        lifespan=_lifespan,
        middlewares=[
            ProblemDetailsMiddleware,
            partial(StaticDocuments, documents=documents),
            LifespanMiddleware,
            TableRouter,
        ],
    )
    connexion.add_api(specification, resolver=Resolver(handlers_by_id.__getitem__))
    app: ASGIApp = connexion
    return app


class _UvicornServer(uvicorn.Server):
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
async def serve_app(app: ASGIApp, socket_path: Path, *, grace_s: float) -> AsyncIterator[None]:
    """Serves on the socket, which only its owner may open, while the block runs; then ends streams and drains."""
    remove_stale_socket(socket_path)
    ending = asyncio.Event()

    async def marked(scope: Scope, receive: Receive, send: Send) -> None:
        attach_shutdown_event(scope, ending)
        await app(scope, receive, send)

    config = uvicorn.Config(
        marked,
        uds=str(socket_path),
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
    server = _UvicornServer(config)
    task = asyncio.create_task(_serve(server))
    while not server.started:
        done, _ = await asyncio.wait({task}, timeout=0.01)
        if done:
            task.result()
    socket_path.chmod(0o600)
    try:
        yield
    finally:
        ending.set()
        server.should_exit = True
        await task
        socket_path.unlink(missing_ok=True)
