"""What the door itself serves: the published contract, and a page for every reason an error can have."""

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
<p><a href="/problems/">All problems</a> · <a href="/docs">The API</a></p>"""
_INDEX_TEMPLATE = """<h1>Problems</h1>
<p>Every error is <code>application/problem+json</code>; its <code>reason</code> is one of these.</p>
<table><tr><th>Status</th><th>Reason, and what it means</th></tr>
{rows}
</table>
<p><a href="/docs">The API</a></p>"""
_ROW_TEMPLATE = """<tr><td>{status}</td>
<td><a href="/problems/{reason}"><code>{reason}</code></a><br><b>{title}.</b> {description}</td></tr>"""
_CODE_SPAN = re.compile("`([^`]+)`")
_CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_DOCS_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'"
)
"""For the pages that try the API out; they load nothing from elsewhere."""


def build_problem_pages() -> dict[str, BinaryResponse]:
    """`/problems/<reason>` and `/problems/`, which lists them by status, from the catalogue."""
    told = {
        reason: {
            "reason": reason,
            "title": html.escape(problem.title),
            "description": _CODE_SPAN.sub(r"<code>\1</code>", html.escape(problem.description)),
            "status": problem.status,
        }
        for reason, problem in PROBLEMS.items()
    }
    rows = sorted(told.values(), key=lambda each: (each["status"], each["reason"]))
    made = {
        f"/problems/{reason}": _render_page(reason, _PROBLEM_TEMPLATE.format_map(each)) for reason, each in told.items()
    }
    return made | {
        "/problems/": _render_page(
            "Problems", _INDEX_TEMPLATE.format(rows="\n".join(map(_ROW_TEMPLATE.format_map, rows)))
        )
    }


def _render_page(title: str, body: str) -> BinaryResponse:
    return BinaryResponse(
        "text/html; charset=utf-8", _HTML_TEMPLATE.format(title=title, style=_STYLE, body=body).encode()
    )


def load_openapi_documents(directory: Path, name: str) -> dict[str, BinaryResponse]:
    """`/openapi.json` and `/openapi.yaml`."""
    types = {"json": "application/json", "yaml": "application/yaml"}
    return {
        f"/openapi.{end}": BinaryResponse(media, (directory / f"{name}.{end}").read_bytes())
        for end, media in types.items()
    }


def load_asyncapi_document(directory: Path, name: str) -> dict[str, BinaryResponse]:
    """`/asyncapi.yaml`."""
    return {"/asyncapi.yaml": BinaryResponse("application/yaml", (directory / f"{name}.yaml").read_bytes())}


class StaticDocuments:
    """Middleware that answers GET for these paths, cacheable, and passes every other path on."""

    def __init__(self, app: ASGIApp, documents: Mapping[str, BinaryResponse]) -> None:
        self._app = app
        self._responses = {
            path: Response(
                blob,
                {
                    "ETag": f'"{hashlib.sha256(blob.content).hexdigest()[:16]}"',
                    "Cache-Control": "public, max-age=300",
                    "Content-Security-Policy": _DOCS_CONTENT_SECURITY_POLICY
                    if path.startswith("/docs")
                    else _CONTENT_SECURITY_POLICY,
                    "X-Content-Type-Options": "nosniff",
                },
            )
            for path, blob in documents.items()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request. Refuses METHOD_NOT_ALLOWED."""
        if scope["type"] != "http" or scope["path"] not in self._responses:
            await self._app(scope, receive, send)
            return
        if scope["method"] not in SAFE_METHODS:
            raise ApiError(Reason.METHOD_NOT_ALLOWED, headers={"Allow": ", ".join(SAFE_METHODS)})
        if_none_match = next((value for name, value in scope["headers"] if name == b"if-none-match"), None)
        status, head, body = encode_response(self._responses[scope["path"]], 200, if_none_match)
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": body})
