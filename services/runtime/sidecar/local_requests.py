"""ASGI middleware of development pages: it denies requests that pages of other sites cause.

Any web page can send requests to a port of the developer's machine. With DNS rebinding the host name of the page itself
resolves to that machine, so that the page can also read the responses.
"""

from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

LINK = ("GET", b"navigate", b"document")
"""Method, mode and destination of the request for a page by its link."""


def is_local_host(authority: str) -> bool:
    """Return whether the host of `host[:port]` cannot be the name of a page's own site.

    That are IP addresses, `localhost` with its subdomains, and names without a dot, which networks of containers use.
    """
    try:
        host = urlsplit(f"//{authority}").hostname or ""
    except ValueError:
        return False
    try:
        ip_address(host)
    except ValueError:
        return bool(host) and ("." not in host or host.endswith(".localhost"))
    return True


def find_denial(method: str, headers: Mapping[bytes, bytes]) -> str | None:
    """Return why a request is denied, or None.

    A link on another site may lead to a page; other requests of other sites are denied (Fetch Metadata, W3C).
    """
    if not is_local_host(headers.get(b"host", b"").decode("latin-1")):
        return "requests for other hosts are denied"
    site, origin = headers.get(b"sec-fetch-site"), headers.get(b"origin")
    if site is None:  # not a browser, or a browser without Fetch Metadata
        is_denied = origin is not None and not is_local_host(origin.decode("latin-1").partition("://")[2])
    else:
        fetch = (method, headers.get(b"sec-fetch-mode"), headers.get(b"sec-fetch-dest"))
        is_denied = site == b"cross-site" and fetch != LINK
    return "requests of other sites are denied" if is_denied else None


class LocalRequestsMiddleware:
    """ASGI middleware that answers denied requests with 403."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle an ASGI connection."""
        denial = find_denial(scope["method"], dict(scope["headers"])) if scope["type"] == "http" else None
        if denial is None:
            await self._app(scope, receive, send)
        else:
            await PlainTextResponse(denial, 403)(scope, receive, send)
