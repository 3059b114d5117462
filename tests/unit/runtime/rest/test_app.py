import asyncio
import copy
import inspect
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from codegen.rest.published_openapi import publish_document
from deploy.local.mesh_config import ROOT
from generated.rest.delivery.handlers import OPERATIONS as PUBLIC_OPERATIONS
from services.runtime.rest.app import build_app
from services.runtime.rest.response_cache import build_caches
from services.runtime.rest.server import serve_app
from services.runtime.rest.static_documents import build_problem_pages, load_openapi_documents
from services.runtime.rest.types import Operation
from tests.sample_rest_app import OPERATIONS, SPECIFICATION, RecordingThingsHandler


def connect(socket: Path) -> httpx.AsyncClient:
    transport = httpx.AsyncHTTPTransport(uds=str(socket))
    return httpx.AsyncClient(transport=transport, base_url="http://edge/api/v1", trust_env=False)


async def serve_briefly(app: ASGIApp, socket: Path) -> None:
    async with serve_app(app, socket, grace_s=1):
        pass


@pytest.mark.parametrize("handlers", [[], [RecordingThingsHandler(), RecordingThingsHandler()]])
def test_missing_or_duplicate_handler_fails_at_startup(handlers: list[object]) -> None:
    with pytest.raises(TypeError, match=f"ThingsHandler needs one handler, {len(handlers)} given"):
        build_app(SPECIFICATION, handlers, OPERATIONS, {}, {}, validate_responses=True)


def test_invalid_specification_fails_at_startup() -> None:
    document = copy.deepcopy(SPECIFICATION)
    del document["info"]
    with pytest.raises(Exception, match="info"):
        build_app(document, [RecordingThingsHandler()], OPERATIONS, {}, {}, validate_responses=True)


async def test_unsupported_operation_fails_at_startup(tmp_path: Path) -> None:
    document = copy.deepcopy(SPECIFICATION)
    content = document["paths"]["/things"]["post"]["requestBody"]["content"]
    content["text/plain"] = {"schema": {"type": "string"}}
    app = build_app(document, [RecordingThingsHandler()], OPERATIONS, {}, {}, validate_responses=True)
    with pytest.raises(RuntimeError, match="application startup failed"):
        await asyncio.wait_for(serve_briefly(app, tmp_path / "s"), timeout=10)


def implement(handler: Any) -> object:
    """Return a handler that implements every method of an abstract handler class."""

    def method(name: str) -> Any:
        async def do_nothing(self: object, **_: object) -> None: ...

        do_nothing.__annotations__ = inspect.get_annotations(getattr(handler, name))
        return do_nothing

    return type(handler.__name__, (handler,), {name: method(name) for name in handler.__abstractmethods__})()


async def test_public_api_is_compiled_and_served(tmp_path: Path) -> None:
    folder = ROOT / "generated/openapi"
    handlers = [implement(handler) for handler in {operation.handler for operation in PUBLIC_OPERATIONS.values()}]
    specification = json.loads((folder / "delivery.json").read_text(encoding="utf-8"))
    app = build_app(
        specification,
        handlers,
        PUBLIC_OPERATIONS,
        load_openapi_documents(folder, "delivery") | build_problem_pages(),
        build_caches(PUBLIC_OPERATIONS.values()),
        validate_responses=True,
    )
    async with serve_app(app, tmp_path / "s", grace_s=1), connect(tmp_path / "s") as client:
        response = await client.get("http://edge/openapi.json")
        assert response.json() == specification
        assert (await client.get("http://edge/openapi.yaml")).headers["content-type"] == "application/yaml"
        assert (await client.get("/banks")).status_code == 401


def test_operation_table_matches_published_document() -> None:
    paths = json.loads((ROOT / "generated/openapi/delivery.json").read_text(encoding="utf-8"))["paths"]
    operation_ids = {
        item[method]["operationId"] for item in paths.values() for method in item if method != "parameters"
    }
    assert operation_ids == PUBLIC_OPERATIONS.keys()
    assert all(isinstance(operation, Operation) for operation in PUBLIC_OPERATIONS.values())


def test_publish_document_does_not_modify_its_input() -> None:
    before = copy.deepcopy(SPECIFICATION)
    publish_document(SPECIFICATION)
    assert before == SPECIFICATION
