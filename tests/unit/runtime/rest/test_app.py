import asyncio
import copy
import inspect
import json
import stat
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from codegen.rest.published_openapi import publish_document
from deploy.local.mesh_config import ROOT
from generated.rest.delivery.handlers import OPERATIONS as PUBLIC
from services.runtime.rest.app import build_app, serve_app
from services.runtime.rest.response_cache import build_caches
from services.runtime.rest.static_documents import build_problem_pages, load_openapi_documents
from services.runtime.rest.types import Operation
from tests.sample_rest_app import OPERATIONS, SPECIFICATION, THING, RecordingThingsHandler, create_app


def client(socket: Path) -> httpx.AsyncClient:
    transport = httpx.AsyncHTTPTransport(uds=str(socket))
    return httpx.AsyncClient(transport=transport, base_url="http://edge/api/v1", trust_env=False)


async def served(app: ASGIApp, socket: Path) -> None:
    async with serve_app(app, socket, grace_s=1):
        pass


@pytest.mark.parametrize("handlers", [[], [RecordingThingsHandler(), RecordingThingsHandler()]])
def test_a_missing_or_a_second_handler_fails_at_start(handlers: list[object]) -> None:
    with pytest.raises(TypeError, match=f"ThingsHandler needs one handler, {len(handlers)} given"):
        build_app(SPECIFICATION, handlers, OPERATIONS, {}, {}, validate_responses=True)


def test_a_document_that_is_none_fails_at_start() -> None:
    document = copy.deepcopy(SPECIFICATION)
    del document["info"]
    with pytest.raises(Exception, match="info"):
        build_app(document, [RecordingThingsHandler()], OPERATIONS, {}, {}, validate_responses=True)


async def test_an_operation_that_cannot_be_compiled_fails_at_start(tmp_path: Path) -> None:
    document = copy.deepcopy(SPECIFICATION)
    content = document["paths"]["/things"]["post"]["requestBody"]["content"]
    content["text/plain"] = {"schema": {"type": "string"}}
    app = build_app(document, [RecordingThingsHandler()], OPERATIONS, {}, {}, validate_responses=True)
    with pytest.raises(RuntimeError, match="did not start"):
        await asyncio.wait_for(served(app, tmp_path / "s"), timeout=10)


def complete(handler: Any) -> object:
    """A handler with every method of an abstract one."""

    def method(name: str) -> Any:
        async def called(self: object, **_: object) -> None: ...

        called.__annotations__ = inspect.get_annotations(getattr(handler, name))
        return called

    return type(handler.__name__, (handler,), {name: method(name) for name in handler.__abstractmethods__})()


async def test_the_public_api_compiles(tmp_path: Path) -> None:
    folder = ROOT / "generated/openapi"
    handlers = [complete(handler) for handler in {row.handler for row in PUBLIC.values()}]
    spec = json.loads((folder / "delivery.json").read_text())
    app = build_app(
        spec,
        handlers,
        PUBLIC,
        load_openapi_documents(folder, "delivery") | build_problem_pages(),
        build_caches(PUBLIC.values()),
        validate_responses=True,
    )
    async with serve_app(app, tmp_path / "s", grace_s=1), client(tmp_path / "s") as edge:
        answer = await edge.get("http://edge/openapi.json")
        assert answer.json() == spec
        assert (await edge.get("http://edge/openapi.yaml")).headers["content-type"] == "application/yaml"
        assert (await edge.get("/catalog")).status_code == 401


async def test_only_the_owner_may_open_the_socket_which_is_gone_afterwards(tmp_path: Path) -> None:
    socket = tmp_path / "s"
    async with serve_app(create_app(RecordingThingsHandler(lambda: THING)), socket, grace_s=1):
        assert stat.S_IMODE(socket.stat().st_mode) == 0o600
    assert not socket.exists()


async def test_requests_are_answered_one_after_the_other_on_a_connection(tmp_path: Path) -> None:
    app = create_app(RecordingThingsHandler(lambda: THING))
    async with serve_app(app, tmp_path / "s", grace_s=1), client(tmp_path / "s") as edge:
        for method in ("GET", "HEAD", "GET"):
            answer = await edge.request(method, "/things/latest")
            assert (answer.status_code, answer.headers["content-length"]) == (200, "21")
            assert not {"server", "date"} & answer.headers.keys()


async def test_a_request_that_runs_is_finished_before_the_end(tmp_path: Path) -> None:
    arrived, leave = asyncio.Event(), asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            for phase in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{phase}.complete"})
            return
        arrived.set()
        await leave.wait()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async with client(tmp_path / "s") as edge:
        async with serve_app(slow, tmp_path / "s", grace_s=5):
            running = asyncio.create_task(edge.get("/"))
            await arrived.wait()
            asyncio.get_running_loop().call_later(0.2, leave.set)
        assert (await running).status_code == 204


def test_the_table_and_the_published_document_name_the_same_operations() -> None:
    paths = json.loads((ROOT / "generated/openapi/delivery.json").read_text())["paths"]
    named = {item[m]["operationId"] for item in paths.values() for m in item if m != "parameters"}
    assert named == PUBLIC.keys()
    assert all(isinstance(row, Operation) for row in PUBLIC.values())


def test_publishing_keeps_the_source_as_it_is() -> None:
    before = copy.deepcopy(SPECIFICATION)
    publish_document(SPECIFICATION)
    assert before == SPECIFICATION
