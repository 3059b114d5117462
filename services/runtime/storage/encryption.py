"""Encryption of secrets at rest, with a key that is stored outside the database."""

from cryptography.fernet import Fernet


class SecretBox:
    """Fernet encryption (AES-128-CBC with HMAC-SHA256) with one key."""

    def __init__(self, key: str) -> None:
        self._fernet = Fernet(key)

    def encrypt(self, secret: str) -> bytes:
        """Return the encrypted secret."""
        return self._fernet.encrypt(secret.encode())

    def decrypt(self, encrypted: bytes) -> str:
        """Return the decrypted secret. Raises cryptography.fernet.InvalidToken for another key."""
        return self._fernet.decrypt(bytes(encrypted)).decode()
