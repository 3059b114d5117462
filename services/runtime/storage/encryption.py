"""Encryption of secrets at rest, with keys that are stored outside the database."""

from functools import lru_cache

from cryptography.fernet import InvalidToken, MultiFernet

from services.runtime.config.encryption_keys import create_fernets

MAX_CACHED_SECRETS = 1024
"""Maximum number of decrypted secrets in the memory of a process."""


class SecretBox:
    """Fernet encryption (AES-128-CBC with HMAC-SHA256). The first key encrypts, all keys decrypt."""

    def __init__(self, keys: str) -> None:
        """Accept comma-separated keys. Raises ValueError if one is invalid."""
        fernets = create_fernets(keys)
        self._current = fernets[0]
        self._all = MultiFernet(fernets)
        self._decrypt_cached = lru_cache(MAX_CACHED_SECRETS)(self._all.decrypt)

    def encrypt(self, secret: str) -> bytes:
        """Return the secret encrypted with the first key."""
        return self._all.encrypt(secret.encode())

    def decrypt(self, encrypted: bytes) -> str:
        """Return the decrypted secret. Raises cryptography.fernet.InvalidToken if no key fits."""
        return self._all.decrypt(bytes(encrypted)).decode()

    def decrypt_cached(self, encrypted: bytes) -> str:
        """Return the decrypted secret, which stays in memory, as the keys do: for secrets of many requests.

        Raises cryptography.fernet.InvalidToken if no key fits.
        """
        return self._decrypt_cached(bytes(encrypted)).decode()

    def has_key_for(self, encrypted: bytes) -> bool:
        """Return whether a key decrypts the value."""
        try:
            self._all.decrypt(bytes(encrypted))
        except InvalidToken:
            return False
        return True

    def reencrypt(self, encrypted: bytes) -> bytes | None:
        """Return the secret encrypted with the first key, or None if it already is.

        Raises cryptography.fernet.InvalidToken if no key fits.
        """
        try:
            self._current.decrypt(bytes(encrypted))
        except InvalidToken:
            return self._all.rotate(bytes(encrypted))
        return None
