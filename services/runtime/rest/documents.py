"""What the door itself serves: the published contract, and a page for every reason an error can have."""

import hashlib
import html
import re
from collections.abc import Mapping
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from generated.problems import PROBLEMS, Reason
from services.runtime.refusal import Refusal
from services.runtime.rest.replies import SAFE, encode
from services.runtime.rest.types import Blob, Reply

_STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui;max-width:48rem;margin:3rem auto;padding:0 1rem}
code{background:#8882;padding:0 .2em;overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%}
td,th{text-align:left;vertical-align:top;padding:.3rem .8rem .3rem 0;border-top:1px solid #8884}
"""
_FRAME = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<link rel="icon" href="data:,">
<style>{style}</style>
{body}
</html>
"""
_PAGE = """<h1>{title}</h1>
<p>{description}</p>
<p>Status <code>{status}</code>, reason <code>{reason}</code>.</p>
<p><a href="/problems/">All problems</a> · <a href="/docs">The API</a></p>"""
_INDEX = """<h1>Problems</h1>
<p>Every error is <code>application/problem+json</code>; its <code>reason</code> is one of these.</p>
<table><tr><th>Status</th><th>Reason, and what it means</th></tr>
{rows}
</table>
<p><a href="/docs">The API</a></p>"""
_ROW = """<tr><td>{status}</td>
<td><a href="/problems/{reason}"><code>{reason}</code></a><br><b>{title}.</b> {description}</td></tr>"""
_CODE = re.compile("`([^`]+)`")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_SCRIPTED = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'"
)
"""For the pages that try the API out; they load nothing from elsewhere."""


def pages() -> dict[str, Blob]:
    """`/problems/<reason>` and `/problems/`, which lists them by status, from the catalogue."""
    told = {
        reason: {
            "reason": reason,
            "title": html.escape(problem.title),
            "description": _CODE.sub(r"<code>\1</code>", html.escape(problem.description)),
            "status": problem.status,
        }
        for reason, problem in PROBLEMS.items()
    }
    rows = sorted(told.values(), key=lambda each: (each["status"], each["reason"]))
    made = {f"/problems/{reason}": _page(reason, _PAGE.format_map(each)) for reason, each in told.items()}
    return made | {"/problems/": _page("Problems", _INDEX.format(rows="\n".join(map(_ROW.format_map, rows))))}


def _page(title: str, body: str) -> Blob:
    return Blob("text/html; charset=utf-8", _FRAME.format(title=title, style=_STYLE, body=body).encode())


def contract(folder: Path, name: str) -> dict[str, Blob]:
    """`/openapi.json` and `/openapi.yaml`."""
    types = {"json": "application/json", "yaml": "application/yaml"}
    return {f"/openapi.{end}": Blob(media, (folder / f"{name}.{end}").read_bytes()) for end, media in types.items()}


def events(folder: Path, name: str) -> dict[str, Blob]:
    """`/asyncapi.yaml`."""
    return {"/asyncapi.yaml": Blob("application/yaml", (folder / f"{name}.yaml").read_bytes())}


class Documents:
    """Middleware that answers GET for these paths, cacheable, and passes every other path on."""

    def __init__(self, app: ASGIApp, documents: Mapping[str, Blob]) -> None:
        self._app = app
        self._replies = {
            path: Reply(
                blob,
                {
                    "ETag": f'"{hashlib.sha256(blob.content).hexdigest()[:16]}"',
                    "Cache-Control": "public, max-age=300",
                    "Content-Security-Policy": _SCRIPTED if path.startswith("/docs") else _POLICY,
                    "X-Content-Type-Options": "nosniff",
                },
            )
            for path, blob in documents.items()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request. Refuses METHOD_NOT_ALLOWED."""
        if scope["type"] != "http" or scope["path"] not in self._replies:
            await self._app(scope, receive, send)
            return
        if scope["method"] not in SAFE:
            raise Refusal(Reason.METHOD_NOT_ALLOWED, headers={"Allow": ", ".join(SAFE)})
        if_none_match = next((value for name, value in scope["headers"] if name == b"if-none-match"), None)
        status, head, body = encode(self._replies[scope["path"]], 200, if_none_match)
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": body})
