"""URLs of third parties: validation at registration, comparison of origins, joining with paths and queries."""

import ipaddress
from collections.abc import Collection, Mapping
from functools import lru_cache
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import httpx
import idna
from pydantic import HttpUrl, TypeAdapter, ValidationError

MAX_CACHED_URLS = 1024
"""Number of URLs whose parts are cached; most calls to a third party have the same one."""

_HTTP_URL = TypeAdapter(HttpUrl)


def normalise_base_url(url: str, *, allows_query: bool = False) -> str:
    """Return the URL in its normalised form, to which paths can be appended; without a trailing slash.

    Raises ValueError, with a message for the person who registers the URL, unless it is an absolute HTTP URL with a
    valid host and port, without user information and fragment, and without a query unless `allows_query`.
    """
    parsed = _normalise_url(url)
    if "#" in url:
        raise ValueError("has a fragment")
    if "?" in url and not allows_query:
        raise ValueError("has a query")
    base, mark, query = parsed.partition("?")
    return base.rstrip("/") + mark + query


def normalise_url_of_origin(url: str, origins: Collection[str]) -> str:
    """Return the URL in its normalised form, which all parsers, also those of browsers, read as a URL of these origins.

    Raises ValueError for a URL of another origin, an invalid URL, and one with user information.
    """
    normalised = _normalise_url(url)
    # In the normalised form of an origin, a slash follows the host and the port.
    if not any(normalised.startswith(_normalise_url(origin)) for origin in origins):
        raise ValueError("is not a URL of a registered origin")
    return normalised


def _normalise_url(url: str) -> str:
    try:
        parsed = _HTTP_URL.validate_python(url)
    except ValidationError as error:
        raise ValueError("is not a valid HTTP URL") from error
    scheme, separator, rest = url.partition("://")
    authority = urlsplit(url).netloc
    if not separator or not authority or scheme.lower() != parsed.scheme:
        raise ValueError("is not an absolute HTTP URL")
    # The parser follows browsers, which change these characters instead of rejecting them.
    if "\\" in rest or any(character <= " " for character in url):
        raise ValueError("contains a backslash, a space or a control character")
    if "@" in authority:
        raise ValueError("contains user information")
    if parsed.port == 0:
        raise ValueError("has an invalid port")
    if not _is_valid_host(parsed.host or ""):
        raise ValueError("has an invalid host")
    return str(parsed)


@lru_cache(MAX_CACHED_URLS)
def build_url(base_url: str, path: str) -> httpx.URL:
    """Return the URL of a path, already percent-encoded, below a base URL. A query of the base URL is dropped.

    Raises httpx.InvalidURL.
    """
    url = httpx.URL(base_url)
    try:
        # httpx checks neither of them before the request is sent.
        _ = url.host, urlsplit(base_url).port
    except ValueError as error:
        raise httpx.InvalidURL(str(error)) from error
    base_path = url.raw_path.partition(b"?")[0].rstrip(b"/")
    return url.copy_with(raw_path=base_path + path.encode("ascii"), fragment=None)


def add_query(url: str, parameters: Mapping[str, str | int]) -> str:
    """Return a normalised URL with query parameters added; those of other names are retained."""
    # `copy_merge_params` of httpx takes ten times as long.
    parts = urlsplit(url)
    retained = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] not in parameters]
    return urlunsplit(parts._replace(query=urlencode([*retained, *parameters.items()])))


def _is_valid_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        try:
            idna.encode(host)
        except idna.IDNAError:
            return False
    return True
