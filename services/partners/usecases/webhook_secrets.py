"""Webhook secrets, with which both the partner and the platform sign."""

import base64
import secrets
from collections.abc import Sequence
from datetime import datetime

from services.partners.domain.partners import Partner
from services.runtime.storage.encryption import SecretBox


def new_secret() -> str:
    """Return a new Standard Webhooks secret of 256 random bits."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


def active_secrets(partner: Partner, secret_box: SecretBox, now: datetime) -> Sequence[str]:
    """Return the valid secrets, decrypted, the newest first: two for a day after a rotation."""
    return [secret_box.decrypt(secret) for secret in partner.active_encrypted_secrets(now)]
