"""Secrets at rest: encrypted with a key that lies outside the database."""

from cryptography.fernet import Fernet


class SecretBox:
    """Encrypts with the process's key (Fernet: AES-128-CBC with HMAC-SHA256)."""

    def __init__(self, key: str) -> None:
        self._fernet = Fernet(key)

    def encrypt(self, secret: str) -> bytes:
        """The secret, unreadable without the key."""
        return self._fernet.encrypt(secret.encode())

    def decrypt(self, encrypted: bytes) -> str:
        """The secret again. Raises cryptography.fernet.InvalidToken when the key is another."""
        return self._fernet.decrypt(bytes(encrypted)).decode()
