"""What the door itself serves: the published contract, and a page for every reason an error can have."""

import hashlib
import html
from collections.abc import Mapping
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from generated.problems import PROBLEMS, Reason
from services.runtime.refusal import Refusal
from services.runtime.rest.replies import SAFE, encode
from services.runtime.rest.types import Blob, Reply

_STYLE = "body{font:16px/1.5 system-ui;max-width:40rem;margin:4rem auto;padding:0 1rem}code{background:#8882}"
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{reason}</title>
<style>{style}</style>
<h1>{title}</h1>
<p>{description}</p>
<p>Status <code>{status}</code>, reason <code>{reason}</code>.</p>
</html>
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_SCRIPTED = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'"
)
"""For the pages that try the API out; they load nothing from elsewhere."""


def pages() -> dict[str, Blob]:
    """`/problems/<reason>`, from the catalogue."""
    return {
        f"/problems/{reason}": Blob(
            "text/html; charset=utf-8",
            _PAGE.format(
                reason=reason,
                style=_STYLE,
                title=html.escape(problem.title),
                description=html.escape(problem.description).replace("`", ""),
                status=problem.status,
            ).encode(),
        )
        for reason, problem in PROBLEMS.items()
    }


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
