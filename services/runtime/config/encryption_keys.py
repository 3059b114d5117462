"""Encryption keys of the setting ENCRYPTION_KEY: parsing and validation."""

from base64 import urlsafe_b64decode
from collections.abc import Iterator

from cryptography.fernet import Fernet

MIN_DISTINCT_BYTES = 16
"""Minimum number of distinct bytes of a key. 32 random bytes have fewer with a probability below 10⁻¹⁶."""


def split_keys(keys: str) -> list[str]:
    """Return the comma-separated keys. Spaces around them are ignored."""
    return [key.strip() for key in keys.split(",")]


def create_fernets(keys: str) -> list[Fernet]:
    """Return a Fernet for each key; there is at least one.

    Raises ValueError, without the key, if one is invalid or repeated.
    """
    separate_keys = split_keys(keys)
    fernets = []
    for number, key in enumerate(separate_keys, 1):
        try:
            fernets.append(Fernet(key))
        except ValueError:
            raise ValueError(f"key {number} is not a Fernet key: 32 bytes in URL-safe base64") from None
    if len({urlsafe_b64decode(key) for key in separate_keys}) < len(fernets):
        raise ValueError("a key is repeated")
    return fernets


def iter_production_errors(keys: str) -> Iterator[str]:
    """Yield a line for each key that cannot be random. The keys must be valid."""
    for number, key in enumerate(split_keys(keys), 1):
        if len(set(urlsafe_b64decode(key))) < MIN_DISTINCT_BYTES:
            yield f"ENCRYPTION_KEY: key {number} is not random: generate it with Fernet.generate_key()"
