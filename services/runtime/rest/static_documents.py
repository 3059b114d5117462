"""Static documents of the API: the published contracts and an HTML page for each error reason."""

import hashlib
import html
import re
from collections.abc import Mapping
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from generated.problems import PROBLEMS, Reason
from services.runtime.core.errors import ApiError
from services.runtime.rest.responses import SAFE_METHODS, encode_response
from services.runtime.rest.types import BinaryResponse, Response

_STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui;max-width:48rem;margin:3rem auto;padding:0 1rem}
code{background:#8882;padding:0 .2em;overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%}
td,th{text-align:left;vertical-align:top;padding:.3rem .8rem .3rem 0;border-top:1px solid #8884}
"""
_HTML_TEMPLATE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<link rel="icon" href="data:,">
<style>{style}</style>
{body}
</html>
"""
_PROBLEM_TEMPLATE = """<h1>{title}</h1>
<p>{description}</p>
<p>Status <code>{status}</code>, reason <code>{reason}</code>.</p>
<p><a href="/problems/">All problems</a> · <a href="/docs">API documentation</a></p>"""
_INDEX_TEMPLATE = """<h1>Problems</h1>
<p>Every error is <code>application/problem+json</code>. Its <code>reason</code> is one of the following.</p>
<table><tr><th>Status</th><th>Reason and description</th></tr>
{rows}
</table>
<p><a href="/docs">API documentation</a></p>"""
_ROW_TEMPLATE = """<tr><td>{status}</td>
<td><a href="/problems/{reason}"><code>{reason}</code></a><br><b>{title}.</b> {description}</td></tr>"""
_CODE_SPAN = re.compile("`([^`]+)`")
_PAGE_RESTRICTIONS = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_CONTENT_SECURITY_POLICY = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; {_PAGE_RESTRICTIONS}"
_DOCS_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    f"connect-src 'self'; {_PAGE_RESTRICTIONS}"
)
"""Content security policy of Swagger UI, which loads and calls this origin only."""


def build_problem_pages() -> dict[str, BinaryResponse]:
    """Return the page of each reason at `/problems/<reason>` and their index, sorted by status, at `/problems/`."""
    values_by_reason = {
        reason: {
            "reason": reason,
            "title": html.escape(problem.title),
            "description": _CODE_SPAN.sub(r"<code>\1</code>", html.escape(problem.description)),
            "status": problem.status,
        }
        for reason, problem in PROBLEMS.items()
    }
    rows = sorted(values_by_reason.values(), key=lambda values: (values["status"], values["reason"]))
    pages = {
        f"/problems/{reason}": render_page(reason, _PROBLEM_TEMPLATE.format_map(values))
        for reason, values in values_by_reason.items()
    }
    return pages | {
        "/problems/": render_page(
            "Problems", _INDEX_TEMPLATE.format(rows="\n".join(map(_ROW_TEMPLATE.format_map, rows)))
        )
    }


def render_page(title: str, body: str) -> BinaryResponse:
    """Return a page with the title and the HTML of its body, in the style of all pages of the API."""
    return BinaryResponse(
        "text/html; charset=utf-8", _HTML_TEMPLATE.format(title=title, style=_STYLE, body=body).encode()
    )


def load_openapi_documents(directory: Path, name: str, *system_names: str) -> dict[str, BinaryResponse]:
    """Return the API at `/openapi.json` and `/openapi.yaml`, and contracts of other systems at `/openapi/<name>.…`."""
    media_types = {"json": "application/json", "yaml": "application/yaml"}
    stems = {"/openapi": name} | {f"/openapi/{system_name}": system_name for system_name in system_names}
    return {
        f"{path}.{extension}": BinaryResponse(media_type, (directory / f"{stem}.{extension}").read_bytes())
        for path, stem in stems.items()
        for extension, media_type in media_types.items()
    }


def load_asyncapi_document(directory: Path, name: str) -> dict[str, BinaryResponse]:
    """Return the document at `/asyncapi.yaml`."""
    return {"/asyncapi.yaml": BinaryResponse("application/yaml", (directory / f"{name}.yaml").read_bytes())}


type Document = BinaryResponse | Response[BinaryResponse]
"""Content of a document, with headers that replace those of all documents."""


class StaticDocuments:
    """Middleware that serves cacheable documents at fixed paths and passes other paths on."""

    def __init__(self, app: ASGIApp, documents: Mapping[str, Document]) -> None:
        self._app = app
        self._responses = {path: _add_headers(path, document) for path, document in documents.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request.

        Raises ApiError: METHOD_NOT_ALLOWED.
        """
        if scope["type"] != "http" or scope["path"] not in self._responses:
            await self._app(scope, receive, send)
            return
        if scope["method"] not in SAFE_METHODS:
            raise ApiError(Reason.METHOD_NOT_ALLOWED, headers={"Allow": ", ".join(SAFE_METHODS)})
        if_none_match = next((value for name, value in scope["headers"] if name == b"if-none-match"), None)
        status, headers, body = encode_response(self._responses[scope["path"]], 200, if_none_match)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _add_headers(path: str, document: Document) -> Response[BinaryResponse]:
    response = document if isinstance(document, Response) else Response(document)
    headers = {
        "ETag": f'"{hashlib.sha256(response.body.content).hexdigest()[:16]}"',
        "Cache-Control": "public, max-age=300",
        "Content-Security-Policy": _DOCS_CONTENT_SECURITY_POLICY
        if path.startswith("/docs")
        else _CONTENT_SECURITY_POLICY,
        "X-Content-Type-Options": "nosniff",
    }
    return Response(response.body, headers | dict(response.headers))
