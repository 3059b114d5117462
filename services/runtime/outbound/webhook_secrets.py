"""Webhook secrets with which a third party and the platform sign: generation, rotation with overlap, active secrets."""

import base64
import hashlib
import logging
import math
import secrets
from collections.abc import Callable
from dataclasses import Field, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, NamedTuple, Protocol

import msgspec
from cryptography.fernet import InvalidToken

from generated.problems import Reason
from services.runtime.core.errors import ApiError

log = logging.getLogger(__name__)

ROTATION_OVERLAP = timedelta(hours=24)
"""Time for which a replaced secret stays valid."""

MAX_OLD_SECRETS = 4
"""Maximum number of replaced secrets that are valid at a time, since every message is signed with each of them."""


class Cipher(Protocol):
    """Encryption of secrets at rest."""

    def encrypt(self, secret: str) -> bytes:
        """Return the encrypted secret."""

    def decrypt(self, encrypted: bytes) -> str:
        """Return the decrypted secret."""


class RotatedSecret(NamedTuple):
    """New secret of a rotation. `replayed` is true for that of an earlier request with the same idempotency key."""

    secret: str
    replayed: bool


class _OldSecret(msgspec.Struct, array_like=True):
    secret: str
    valid_until: datetime


_decode_old_secrets = msgspec.json.Decoder(list[_OldSecret]).decode


class SecretHolder(Protocol):
    """Dataclass with an encrypted secret and, after rotations, the replaced ones with their times of expiry."""

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

    @property
    def older_secrets(self) -> bytes | None:
        """Return the secrets before the previous one and their times of expiry, in JSON and encrypted as a whole."""


def generate_secret() -> str:
    """Return a new secret of 256 random bits, in the format of Standard Webhooks."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


def rotate_secret[Holder: SecretHolder](holder: Holder, secret: str, cipher: Cipher, now: datetime) -> Holder:
    """Return the holder with a new secret. Each replaced one stays valid for ROTATION_OVERLAP from its replacement.

    Raises ApiError: UPSTREAM_UNAVAILABLE if no encryption key fits, or TOO_MANY_REQUESTS if MAX_OLD_SECRETS replaced
    secrets are valid.
    """
    older_secrets = _decrypt_old_secrets(holder, cipher.decrypt, now)
    if len(older_secrets) >= MAX_OLD_SECRETS:
        delay = min(each.valid_until for each in older_secrets) - now
        raise ApiError(Reason.TOO_MANY_REQUESTS, retry_after=math.ceil(delay.total_seconds()))
    return replace(
        holder,
        webhook_secret=cipher.encrypt(secret),
        old_secret=holder.webhook_secret,
        old_secret_until=now + ROTATION_OVERLAP,
        older_secrets=cipher.encrypt(msgspec.json.encode(older_secrets).decode()) if older_secrets else None,
    )


def decrypt_active_secrets(holder: SecretHolder, decrypt: Callable[[bytes], str], now: datetime) -> list[str]:
    """Return the secrets that are valid at a time, decrypted, the newest first.

    Raises ApiError: UPSTREAM_UNAVAILABLE if no encryption key fits, so that a callback is repeated later.
    """
    old_secrets = _decrypt_old_secrets(holder, decrypt, now)
    return [_decrypt(decrypt, holder.webhook_secret), *(each.secret for each in old_secrets)]


def _decrypt_old_secrets(holder: SecretHolder, decrypt: Callable[[bytes], str], now: datetime) -> list[_OldSecret]:
    """Return the replaced secrets that are valid at a time, the newest first."""
    old_secrets: list[_OldSecret] = []
    if holder.old_secret is not None and holder.old_secret_until is not None and now < holder.old_secret_until:
        old_secrets.append(_OldSecret(_decrypt(decrypt, holder.old_secret), holder.old_secret_until))
    if holder.older_secrets is not None:
        older_secrets = _decode_old_secrets(_decrypt(decrypt, holder.older_secrets))
        old_secrets += [each for each in older_secrets if now < each.valid_until]
    return old_secrets


def _decrypt(decrypt: Callable[[bytes], str], encrypted: bytes) -> str:
    try:
        return decrypt(encrypted)
    except InvalidToken as error:
        log.error("webhook secret not decrypted: no key of ENCRYPTION_KEY fits; add the key that encrypted it")
        raise ApiError(Reason.UPSTREAM_UNAVAILABLE) from error


def compute_fingerprint(secret: str) -> bytes:
    """Return the SHA-256 digest of a secret, which identifies it and does not reveal it."""
    return hashlib.sha256(secret.encode()).digest()


def find_secret(holder: SecretHolder, decrypt: Callable[[bytes], str], now: datetime, fingerprint: bytes) -> str:
    """Return the valid secret with the fingerprint.

    Raises ApiError: IDEMPOTENCY_KEY_REUSED if it is no longer valid.
    """
    for secret in decrypt_active_secrets(holder, decrypt, now):
        if compute_fingerprint(secret) == fingerprint:
            return secret
    raise ApiError(Reason.IDEMPOTENCY_KEY_REUSED, "The secret of the first request is no longer valid.")
