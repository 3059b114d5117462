"""The secrets that partners and we sign with."""

import base64
import secrets
from collections.abc import Sequence
from datetime import datetime

from services.partners.domain import Partner
from services.runtime.vault import Vault


def new_secret() -> str:
    """A secret as Standard Webhooks writes it, of 256 random bits."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


def good(partner: Partner, vault: Vault, now: datetime) -> Sequence[str]:
    """The secrets that are good now, the newest first: for a day after a rotation there are two."""
    return [vault.unlock(secret) for secret in partner.secrets(now)]
