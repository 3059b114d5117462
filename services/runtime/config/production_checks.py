"""Checks of production settings: no emulators, no demo data, no public secrets."""

import os
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr
from pydantic.config import JsonDict

EMULATED: JsonDict = {"emulated": True}
"""`json_schema_extra` of a setting that points to an emulator of a third party; production requires its default."""

MIN_SECRET_LENGTH = 12
"""Minimum number of characters of a password or key."""

_DEMO_VARIABLES = ("DEMO_WEBHOOK_SECRET", "SANDBOX_BROWSER_URL", "SANDBOX_URL")
_LOCAL_NAME_PATTERN = re.compile(r"-local$|\.test\b|^test\.|^LOCAL(KEY|TEAM)")
"""Names that are used on one machine only: the demo project and app, and hosts in the reserved domain `.test`."""

_EMULATED_HOST_PATTERN = re.compile(r"localhost|127\..*|::1|0\.0\.0\.0|sandbox(\..*)?", re.IGNORECASE)
"""The local machine, and the sandbox in the same network or cluster."""


def iter_production_errors(settings: BaseModel) -> Iterator[str]:
    """Yield one line per reason that these settings are not allowed in production; no line contains a value."""
    for name in sorted(os.environ):
        if name.endswith("_EMULATOR_HOST") or name in _DEMO_VARIABLES:
            yield f"{name} is for development"
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if field.json_schema_extra == EMULATED and value != field.get_default():
            yield f"{name.upper()} is for development"
        if isinstance(value, SecretStr) and _is_weak_secret(value.get_secret_value()):
            yield f"{name.upper()} needs a secret of at least {MIN_SECRET_LENGTH} characters"
        if isinstance(value, str) and is_local_name(value):
            yield f"{name.upper()} is a name for development"


def is_public_url(url: str) -> bool:
    """Return whether the URL is https and its host name is valid outside of the local network."""
    parts = urlsplit(url)
    host = parts.hostname or "localhost"
    return parts.scheme == "https" and "." in host and not _EMULATED_HOST_PATTERN.fullmatch(host)


def is_emulated(url: str) -> bool:
    """Return whether the URL points to the local machine or the sandbox."""
    return bool(_EMULATED_HOST_PATTERN.fullmatch(urlsplit(url).hostname or ""))


def is_local_name(value: str) -> bool:
    """Return whether the value contains a name that is used on one machine only."""
    return bool(_LOCAL_NAME_PATTERN.search(value))


def _is_weak_secret(secret: str) -> bool:
    """Return whether the secret, or the password in a URL, is too short.

    A URL without a password is accepted: the connection may be authenticated by a certificate.
    """
    if "://" in secret:
        password: Any = urlsplit(secret).password
        return password is not None and len(password) < MIN_SECRET_LENGTH
    return len(secret) < MIN_SECRET_LENGTH
