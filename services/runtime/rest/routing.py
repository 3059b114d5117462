"""Router of the paths in an OpenAPI document: a dictionary of literal paths and one regular expression per template."""

import re
from typing import Any

from connexion.middleware.abstract import ROUTING_CONTEXT, SpecMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from generated.problems import Reason
from services.runtime.core.errors import ApiError

HTTP_METHODS = ("get", "put", "post", "delete", "patch", "head")


class TableRouter(SpecMiddleware):  # type: ignore[misc]
    """Middleware that stores the operation of a request where Connexion's routed middlewares and telemetry read it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._literal_paths: dict[str, dict[str, dict[str, str]]] = {}
        self._templates: list[tuple[re.Pattern[str], tuple[str, ...], dict[str, dict[str, str]]]] = []

    def add_api(self, specification: Any, base_path: str | None = None, **_: Any) -> None:
        """Register the paths of one document."""
        base = specification.base_path if base_path is None else base_path
        for path, item in specification["paths"].items():
            methods = {
                method.upper(): {
                    "api_base_path": base,
                    "operation_id": item[method]["operationId"],
                    "http_route": base + path,
                }
                for method in HTTP_METHODS
                if method in item
            }
            if "GET" in methods:
                methods.setdefault("HEAD", methods["GET"])
            if "{" in path:
                parts = re.split(r"\{([^}]+)\}", base + path)
                pattern = "".join("([^/]+)" if index % 2 else re.escape(part) for index, part in enumerate(parts))
                self._templates.append((re.compile(pattern), tuple(parts[1::2]), methods))
            else:
                self._literal_paths[base + path] = methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Route one request.

        Raises ApiError: NOT_FOUND, METHOD_NOT_ALLOWED with an Allow header.
        """
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        methods, scope["path_params"] = self._find(scope["path"])
        if methods is None:
            raise ApiError(Reason.NOT_FOUND)
        if scope["method"] not in methods:
            raise ApiError(Reason.METHOD_NOT_ALLOWED, headers={"Allow": ", ".join(sorted(methods))})
        scope.setdefault("extensions", {})[ROUTING_CONTEXT] = methods[scope["method"]]
        await self._app(scope, receive, send)

    def _find(self, path: str) -> tuple[dict[str, dict[str, str]] | None, dict[str, str]]:
        if path in self._literal_paths:
            return self._literal_paths[path], {}
        for pattern, names, methods in self._templates:
            if match := pattern.fullmatch(path):
                return methods, dict(zip(names, match.groups(), strict=True))
        return None, {}
