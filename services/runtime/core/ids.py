"""Opaque identifiers of 128 bits, as 22 characters of [A-Za-z0-9_-].

The first is no hyphen, so that a command line does not read an id as an option.
"""

import base64
import hashlib
import secrets

ID_BYTES = 16


def generate_id() -> str:
    """Return a random identifier."""
    return _replace_hyphen(secrets.token_urlsafe(ID_BYTES))


def derive_id(source: str) -> str:
    """Return the identifier that belongs to another one. It is unguessable if the other one is."""
    digest = hashlib.sha256(source.encode()).digest()[:ID_BYTES]
    return _replace_hyphen(base64.urlsafe_b64encode(digest).rstrip(b"=").decode())


def _replace_hyphen(text: str) -> str:
    return f"_{text[1:]}" if text.startswith("-") else text
