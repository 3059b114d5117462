"""Webhook secrets with which a third party and the platform sign: generation, rotation with overlap, active secrets."""

import base64
import secrets
from collections.abc import Callable
from dataclasses import Field, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, Protocol

ROTATION_OVERLAP = timedelta(hours=24)
"""Time for which the previous secret stays valid after a rotation."""


class SecretHolder(Protocol):
    """Dataclass with an encrypted secret and, after a rotation, the previous one with its time of expiry."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def webhook_secret(self) -> bytes:
        """Return the current secret."""

    @property
    def old_secret(self) -> bytes | None:
        """Return the previous secret."""

    @property
    def old_secret_until(self) -> datetime | None:
        """Return the time until which the previous secret is valid."""


def generate_secret() -> str:
    """Return a new secret of 256 random bits, in the format of Standard Webhooks."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


def rotate_secret[Holder: SecretHolder](holder: Holder, encrypted_secret: bytes, now: datetime) -> Holder:
    """Return the holder with a new secret. The previous one stays valid for ROTATION_OVERLAP."""
    return replace(
        holder,
        webhook_secret=encrypted_secret,
        old_secret=holder.webhook_secret,
        old_secret_until=now + ROTATION_OVERLAP,
    )


def decrypt_active_secrets(holder: SecretHolder, decrypt: Callable[[bytes], str], now: datetime) -> list[str]:
    """Return the secrets that are valid at a time, decrypted, the newest first."""
    encrypted_secrets = [holder.webhook_secret]
    if holder.old_secret is not None and holder.old_secret_until is not None and now < holder.old_secret_until:
        encrypted_secrets.append(holder.old_secret)
    return [decrypt(secret) for secret in encrypted_secrets]
