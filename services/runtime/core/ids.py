"""Opaque random identifiers."""

import secrets


def generate_id() -> str:
    """Return 128 random bits as 22 characters of [A-Za-z0-9_-]."""
    return secrets.token_urlsafe(16)
