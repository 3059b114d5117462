"""Static documents: caching, security headers, and the pages of the error reasons."""

import html
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from generated.problems import PROBLEMS, Reason
from services.runtime.core.errors import ApiError
from services.runtime.rest import static_documents
from services.runtime.rest.static_documents import (
    StaticDocuments,
    build_problem_pages,
    load_asyncapi_document,
    load_openapi_documents,
)
from services.runtime.rest.types import BinaryResponse, Response

DOCUMENTS = {
    "/openapi.json": BinaryResponse("application/json", b"{}"),
    "/docs/start.js": BinaryResponse("text/javascript", b"start()"),
    "/shop": Response(BinaryResponse("text/html", b"shop"), {"Cache-Control": "no-cache"}),
}
PAGES = build_problem_pages()


async def other_app(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("other")(scope, receive, send)


async def request(method: str, path: str, **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(StaticDocuments(other_app, DOCUMENTS))
    async with httpx.AsyncClient(transport=transport, base_url="http://edge") as client:
        return await client.request(
            method, path, headers={name.replace("_", "-"): each for name, each in headers.items()}
        )


async def test_document_is_served_with_caching_headers() -> None:
    response = await request("GET", "/openapi.json")
    assert (response.status_code, response.content) == (200, b"{}")
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "public, max-age=300"
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_headers_of_a_document_replace_those_of_all() -> None:
    headers = (await request("GET", "/shop")).headers
    assert headers.get_list("cache-control") == ["no-cache"]
    assert headers["x-content-type-options"] == "nosniff"


async def test_document_is_not_sent_again_while_its_etag_matches() -> None:
    etag = (await request("GET", "/openapi.json")).headers["etag"]
    response = await request("GET", "/openapi.json", if_none_match=etag)
    assert (response.status_code, response.content) == (304, b"")
    assert (await request("GET", "/docs/start.js", if_none_match=etag)).status_code == 200


@pytest.mark.parametrize(
    ("path", "directive"), [("/openapi.json", "default-src 'none'"), ("/docs/start.js", "script-src 'self'")]
)
async def test_only_documentation_pages_may_run_scripts(path: str, directive: str) -> None:
    policy = (await request("GET", path)).headers["content-security-policy"]
    assert directive in policy
    assert ("script-src" in policy) == path.startswith("/docs")
    assert "*" not in policy


@pytest.mark.parametrize("path", ["/openapi.json", "/docs/start.js"])
async def test_no_other_page_may_embed_a_document(path: str) -> None:
    policy = (await request("GET", path)).headers["content-security-policy"].split("; ")
    assert {"base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"} <= {*policy}


@pytest.mark.parametrize("path", ["/openapi.yaml", "/openapi.json/", "/docs", "/"])
async def test_other_paths_are_passed_on(path: str) -> None:
    assert (await request("GET", path)).text == "other"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
async def test_other_methods_are_rejected(method: str) -> None:
    with pytest.raises(ApiError) as raised:
        await request(method, "/openapi.json")
    assert raised.value.reason is Reason.METHOD_NOT_ALLOWED
    assert raised.value.headers == {"Allow": "GET, HEAD"}


async def test_other_scopes_are_passed_on() -> None:
    scopes: list[str] = []

    async def record(scope: Scope, _receive: Receive, _send: Send) -> None:
        scopes.append(scope["type"])

    async def ignore(*_: Any) -> Any: ...

    await StaticDocuments(record, DOCUMENTS)({"type": "lifespan"}, ignore, ignore)
    assert scopes == ["lifespan"]


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_page_with_its_problem(reason: Reason) -> None:
    page = PAGES[f"/problems/{reason}"]
    text = page.content.decode()
    assert page.media_type == "text/html; charset=utf-8"
    assert f"<h1>{html.escape(PROBLEMS[reason].title)}</h1>" in text
    assert f"<code>{PROBLEMS[reason].status}</code>" in text
    assert "`" not in text, "code spans are rendered"


def test_texts_of_problems_are_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = PROBLEMS[Reason.ORDER_NOT_FOUND]._replace(title="<i>", description="Set `<id>` & more.")
    monkeypatch.setattr(static_documents, "PROBLEMS", {Reason.ORDER_NOT_FOUND: problem})
    text = build_problem_pages()[f"/problems/{Reason.ORDER_NOT_FOUND}"].content.decode()
    assert "<h1>&lt;i&gt;</h1>" in text
    assert "Set <code>&lt;id&gt;</code> &amp; more." in text


def test_index_lists_every_reason_sorted_by_status() -> None:
    index = PAGES["/problems/"].content.decode()
    statuses = [int(status) for status in re.findall(r"<tr><td>(\d+)</td>", index)]
    assert statuses == sorted(problem.status for problem in PROBLEMS.values())
    assert {*re.findall(r'href="/problems/(\w+)"', index)} == {*map(str, Reason)}


@pytest.mark.parametrize("path", PAGES)
def test_problem_page_is_self_contained(path: str) -> None:
    text = PAGES[path].content.decode()
    assert "<script" not in text
    assert not re.search(r'(?:src|href)="(?:https?:)?//', text)


def test_specifications_are_loaded_from_their_folder(tmp_path: Path) -> None:
    for extension in ("json", "yaml"):
        (tmp_path / f"delivery.{extension}").write_text(extension, encoding="utf-8")
    assert load_openapi_documents(tmp_path, "delivery") == {
        "/openapi.json": BinaryResponse("application/json", b"json"),
        "/openapi.yaml": BinaryResponse("application/yaml", b"yaml"),
    }
    (tmp_path / "bank.json").write_text("bank", encoding="utf-8")
    (tmp_path / "bank.yaml").write_text("bank", encoding="utf-8")
    documents = load_openapi_documents(tmp_path, "delivery", "bank")
    assert documents["/openapi/bank.yaml"] == BinaryResponse("application/yaml", b"bank")
    assert documents.keys() == {"/openapi.json", "/openapi.yaml", "/openapi/bank.json", "/openapi/bank.yaml"}
    assert load_asyncapi_document(tmp_path, "delivery") == {
        "/asyncapi.yaml": BinaryResponse("application/yaml", b"yaml")
    }


def test_missing_specification_fails_at_startup(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_openapi_documents(tmp_path, "delivery")
