"""Base URLs of third parties: validation at registration, and joining with paths and queries."""

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

import httpx
import idna
from pydantic import HttpUrl, TypeAdapter, ValidationError

_HTTP_URL = TypeAdapter(HttpUrl)


def normalise_base_url(url: str, *, allows_query: bool = False) -> str:
    """Return the URL in its normalised form, to which paths can be appended; without a trailing slash.

    Raises ValueError, with a message for the person who registers the URL, unless it is an absolute HTTP URL with a
    valid host and port, without user information and fragment, and without a query unless `allows_query`.
    """
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
    if "#" in rest:
        raise ValueError("has a fragment")
    if "?" in rest and not allows_query:
        raise ValueError("has a query")
    if parsed.port == 0:
        raise ValueError("has an invalid port")
    if not _is_valid_host(parsed.host or ""):
        raise ValueError("has an invalid host")
    base, mark, query = str(parsed).partition("?")
    return base.rstrip("/") + mark + query


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
    """Return the URL with query parameters added; those of other names are retained."""
    return str(httpx.URL(url).copy_merge_params(parameters))


def _is_valid_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        try:
            idna.encode(host)
        except idna.IDNAError:
            return False
    return True
