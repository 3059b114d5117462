"""Origins in settings: scheme, host and port of HTTP URLs."""

import re

ORIGIN_PATTERN = re.compile(r"https?://[^\s/?#@*,]+")
ORIGIN_ERROR = "is not an origin: scheme, host and port, such as http://localhost:3000"
ORIGINS_ERROR = "is not a comma-separated list of origins: scheme, host and port, such as http://localhost:3000"


def is_origin_list(value: str) -> bool:
    """Return whether a text is a comma-separated list of origins."""
    return all(map(ORIGIN_PATTERN.fullmatch, value.split(",")))
