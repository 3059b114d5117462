"""ASGI application of one OpenAPI document: Connexion around compiled operations."""

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

from connexion.middleware import ConnexionMiddleware
from connexion.middleware.abstract import RoutedAPI, RoutedMiddleware
from connexion.middleware.lifespan import LifespanMiddleware
from connexion.resolver import Resolver
from connexion.spec import OpenAPISpecification
from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator
from starlette.types import ASGIApp, Receive, Scope, Send

from generated.problems import Reason
from services.runtime.concurrency.request_limits import RequestLimits
from services.runtime.core.errors import ApiError
from services.runtime.core.principal import TokenRevocations
from services.runtime.rest.operation import CompiledOperation
from services.runtime.rest.problem_details import ProblemDetailsMiddleware
from services.runtime.rest.response_cache import CachesByEvent
from services.runtime.rest.routing import TableRouter
from services.runtime.rest.static_documents import Document, StaticDocuments
from services.runtime.rest.types import Operation

_VALIDATORS = {"3.0": OpenAPIV30SpecValidator, "3.1": OpenAPIV31SpecValidator}


def _validate_specification(_: type, specification: dict[str, Any]) -> None:
    """Validate a specification of OpenAPI 3.0 or 3.1; Connexion's own check supports 3.0 only."""
    _validate_specification_json(json.dumps(specification))


@lru_cache(8)
def _validate_specification_json(specification_json: str) -> None:
    """Validate a serialized specification. A valid one is cached; an invalid one raises on every call."""
    spec = json.loads(specification_json)
    _VALIDATORS[spec["openapi"][:3]](spec).validate()


OpenAPISpecification._validate_spec = classmethod(_validate_specification)


def bind_handlers(handlers: Sequence[object], operations: Mapping[str, Operation]) -> dict[str, Callable[..., Any]]:
    """Return the handler method of each operationId.

    Raises TypeError when a handler class has no instance or more than one.
    """
    handlers_by_id = {}
    for name, operation in operations.items():
        instances = [handler for handler in handlers if isinstance(handler, operation.handler)]
        if len(instances) != 1:
            raise TypeError(f"{operation.handler.__name__} needs one handler, {len(instances)} given")
        handlers_by_id[name] = getattr(instances[0], operation.method)
    return handlers_by_id


class CompiledApi(RoutedAPI[CompiledOperation]):  # type: ignore[misc]
    """Routed API that compiles each operation; Connexion has resolved its references."""

    def __init__(
        self,
        *args: Any,
        handlers_by_id: Mapping[str, Callable[..., Any]],
        operations: Mapping[str, Operation],
        caches: CachesByEvent,
        validate_responses: bool,
        token_revocations: TokenRevocations | None,
        limits: RequestLimits,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._handlers_by_id = handlers_by_id
        self._operations = operations
        self._caches = caches
        self._validate_responses = validate_responses
        self._token_revocations = token_revocations
        self._limits = limits
        self.add_paths()

    def make_operation(self, operation: Any) -> CompiledOperation:
        """Return the compiled operation."""
        name = operation.operation_id
        return CompiledOperation(
            operation,
            self._handlers_by_id[name],
            self._operations[name],
            self._caches,
            validate_responses=self._validate_responses,
            token_revocations=self._token_revocations,
            limits=self._limits,
        )


class CompiledApp(RoutedMiddleware[CompiledApi]):  # type: ignore[misc]
    """Innermost application; replaces Connexion's own and its validating middlewares."""

    api_cls = CompiledApi

    def __init__(self, **options: Any) -> None:
        super().__init__(_raise_not_found)
        self._compile_options = options

    def add_api(self, specification: Any, **kwargs: Any) -> CompiledApi:
        """Compile the operations of one document."""
        api: CompiledApi = super().add_api(specification, **{**kwargs, **self._compile_options})
        return api


async def _raise_not_found(scope: Scope, receive: Receive, send: Send) -> None:
    raise ApiError(Reason.NOT_FOUND)


@contextlib.asynccontextmanager
async def _lifespan(_: Any) -> AsyncIterator[dict[str, Any]]:
    """Make Connexion build its middleware stack at startup, where an error still ends the process."""
    yield {}


def build_app(
    specification: dict[str, Any],
    handlers: Sequence[object],
    operations: Mapping[str, Operation],
    documents: Mapping[str, Document],
    caches: CachesByEvent,
    *,
    validate_responses: bool,
    token_revocations: TokenRevocations | None = None,
    limits: RequestLimits | None = None,
) -> ASGIApp:
    """Return the ASGI application of one document. Without `token_revocations`, no token is revoked.

    Raises TypeError when a handler is missing.
    """
    handlers_by_id = bind_handlers(handlers, operations)
    connexion = ConnexionMiddleware(
        CompiledApp(
            handlers_by_id=handlers_by_id,
            operations=operations,
            caches=caches,
            validate_responses=validate_responses,
            token_revocations=token_revocations,
            limits=limits or RequestLimits(),
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
