"""Web apps: the files that `make apps` builds, their configuration, and the start page with links to them."""

import html
import mimetypes
import re
from pathlib import Path

import msgspec

from services.runtime.rest.static_documents import Document, render_page
from services.runtime.rest.types import BinaryResponse, Response

_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' https: data: blob:; connect-src 'self'{};"
    " worker-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none';"
    " require-trusted-types-for 'script'"
)
"""Content security policy of an app. Pictures may be those of other sites."""
_FIREBASE_ORIGINS = ("https://firebaseinstallations.googleapis.com", "https://fcmregistrations.googleapis.com")
_PAGE_CACHE_CONTROL = "no-cache"
"""The page names the present files, so browsers validate it at each use."""
_ASSET_CACHE_CONTROL = "public, max-age=31536000, immutable"
"""The name of a file contains the hash of its content."""
_TITLE = re.compile("<title>(.*?)</title>")
_START_PAGE = """<h1>{name}</h1>
<ul>
{links}
<li><a href="/docs">API documentation</a></li>
<li><a href="/problems/">Problems</a></li>
</ul>"""


class AppConfig(msgspec.Struct, omit_defaults=True):
    """Configuration of the apps in a browser, without secrets."""

    firebase: dict[str, str] | None = None
    devices_url: str = ""
    traces_url: str = ""


def load_web_apps(folder: Path, config: AppConfig, name: str) -> dict[str, Document]:
    """Return the page of each app at `/<app>`, its files below `/<app>/assets/`, `/apps.json` and the start page."""
    origins = "" if config.firebase is None else "".join(f" {origin}" for origin in _FIREBASE_ORIGINS)
    policy = _CONTENT_SECURITY_POLICY.format(origins)
    documents: dict[str, Document] = {"/apps.json": BinaryResponse("application/json", msgspec.json.encode(config))}
    links = []
    for page in sorted(folder.glob("*/index.html")):
        path, content = f"/{page.parent.name}", page.read_bytes()
        headers = {"Content-Security-Policy": policy, "Cache-Control": _PAGE_CACHE_CONTROL}
        documents[path] = Response(BinaryResponse("text/html; charset=utf-8", content), headers)
        documents |= _load_assets(page.parent / "assets", f"{path}/assets")
        links.append(f'<li><a href="{path}">{_read_title(content.decode())}</a></li>')
    start_page = render_page(name.title(), _START_PAGE.format(name=name.title(), links="\n".join(links)))
    return documents | {"/": start_page}


def _load_assets(folder: Path, path: str) -> dict[str, Document]:
    return {
        f"{path}/{file.name}": Response(
            BinaryResponse(_get_media_type(file.name), file.read_bytes()), {"Cache-Control": _ASSET_CACHE_CONTROL}
        )
        for file in sorted(folder.glob("*"))
    }


def _get_media_type(name: str) -> str:
    media_type = mimetypes.guess_file_type(name)[0] or "application/octet-stream"
    return f"{media_type}; charset=utf-8" if media_type.startswith("text/") else media_type


def _read_title(page: str) -> str:
    match = _TITLE.search(page)
    return html.escape(html.unescape(match[1])) if match else "App"
