"""Base path of the served document, which is the path of its first server."""

import re
from typing import Any
from urllib.parse import urlsplit

_SERVER_PATTERN = re.compile(r"(https?://[^/{}?#]+)?(/[A-Za-z0-9._~!$&'()*+,;=:@-]+)*/?")


def is_supported_server(url: str) -> bool:
    """Return whether a URL is a path, or an absolute URL, without variables, query and fragment."""
    return _SERVER_PATTERN.fullmatch(url) is not None and bool(url)


def get_base_path(document: dict[str, Any]) -> str:
    """Return the part of all paths that precedes those of the document, without a slash at its end: /api/v1."""
    path: str = urlsplit(document["servers"][0]["url"]).path
    return path.rstrip("/")
