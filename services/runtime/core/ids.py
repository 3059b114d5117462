"""Opaque random identifiers."""

import secrets


def generate_id() -> str:
    """Return 128 random bits as 22 characters of [A-Za-z0-9_-].

    The first is no hyphen, so that a command line does not read an id as an option.
    """
    random_id = secrets.token_urlsafe(16)
    return f"_{random_id[1:]}" if random_id.startswith("-") else random_id
