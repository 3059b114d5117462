"""Opaque identifiers."""

import secrets


def new_id() -> str:
    """128 random bits as 22 characters of [A-Za-z0-9_-]."""
    return secrets.token_urlsafe(16)
