"""What production does not start with: played third parties, emulators, demo data, and secrets that everybody knows."""

import os
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr
from pydantic.config import JsonDict

EMULATED: JsonDict = {"emulated": True}
"""Marks a setting (`json_schema_extra`) that says where a third party is played; production keeps its default."""

MIN_SECRET_LENGTH = 12
"""Characters that a password or key has at least."""

_DEMO_VARIABLES = ("DEMO_WEBHOOK_SECRET", "SANDBOX_URL")
_LOCAL_NAME_PATTERN = re.compile(r"-local$|\.test\b|^test\.|^LOCAL(KEY|TEAM)")
"""Names that nobody has outside of one machine: the demo's project and app, addresses of the reserved domain."""

_EMULATED_HOST_PATTERN = re.compile(r"localhost|127\..*|::1|0\.0\.0\.0|sandbox(\..*)?", re.IGNORECASE)
"""This machine, and the outside world as it is played beside it, in one network or one cluster."""


def production_errors(settings: BaseModel) -> Iterator[str]:
    """A line for each thing that keeps the settings from production; no line says a value."""
    for name in sorted(os.environ):
        if name.endswith("_EMULATOR_HOST") or name in _DEMO_VARIABLES:
            yield f"{name} is for development"
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if field.json_schema_extra == EMULATED and value != field.get_default():
            yield f"{name.upper()} is for development"
        if isinstance(value, SecretStr) and _is_weak_secret(value.get_secret_value()):
            yield f"{name.upper()} needs a secret of its own, of {MIN_SECRET_LENGTH} characters at least"
        if isinstance(value, str) and is_local_name(value):
            yield f"{name.upper()} is a name for development"


def is_public_url(url: str) -> bool:
    """Whether others can reach it, by TLS: its host has a name outside of its own network."""
    parts = urlsplit(url)
    host = parts.hostname or "localhost"
    return parts.scheme == "https" and "." in host and not _EMULATED_HOST_PATTERN.fullmatch(host)


def is_emulated(url: str) -> bool:
    """Whether it is on this machine, or the sandbox."""
    return bool(_EMULATED_HOST_PATTERN.fullmatch(urlsplit(url).hostname or ""))


def is_local_name(value: str) -> bool:
    """Whether it is a name that nobody has outside of one machine."""
    return bool(_LOCAL_NAME_PATTERN.search(value))


def _is_weak_secret(secret: str) -> bool:
    """A password in an address may be missing, where certificates stand for it; a short one may not be there."""
    if "://" in secret:
        password: Any = urlsplit(secret).password
        return password is not None and len(password) < MIN_SECRET_LENGTH
    return len(secret) < MIN_SECRET_LENGTH
