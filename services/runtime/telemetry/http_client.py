"""Attributes of HTTP requests to third parties, according to OpenTelemetry's semantic conventions for HTTP."""

import httpx

_DEFAULT_PORTS = {"http": 80, "https": 443}


def build_attributes(method: str, url: httpx.URL) -> dict[str, str | int]:
    """Return the attributes of a client span. The URL is recorded without credentials, query and fragment."""
    redacted = url.copy_with(userinfo=b"", query=None, fragment=None)
    return {
        "http.request.method": method,
        "server.address": url.host,
        "server.port": url.port or _DEFAULT_PORTS.get(url.scheme, 0),
        "url.full": str(redacted),
    }
