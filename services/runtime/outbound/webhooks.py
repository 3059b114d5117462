"""Standard Webhooks, both ways: verifying what arrives, signing what leaves."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from generated.problems import Reason
from services.runtime.core.errors import ApiError


class SignedRequest(NamedTuple):
    """A callback as it arrived: the three headers, and the body byte for byte."""

    id: str
    timestamp: str
    signature: str
    body: bytes


def verify_signature(request: SignedRequest, secrets: Sequence[str]) -> None:
    """Refuses SIGNATURE_INVALID unless one of the secrets made the signature less than five minutes ago."""
    headers = {
        "webhook-id": request.id,
        "webhook-timestamp": request.timestamp,
        "webhook-signature": request.signature,
    }
    for secret in secrets:
        try:
            Webhook(secret).verify(request.body, headers, json_parse=False)
        except (WebhookVerificationError, ValueError):
            continue
        return
    raise ApiError(Reason.SIGNATURE_INVALID)


def sign_message(message_id: str, sent_at: datetime, body: bytes, secret: str) -> dict[str, str]:
    """The three headers for a request that leaves now."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(sent_at.timestamp())),
        "webhook-signature": Webhook(secret).sign(message_id, sent_at, body.decode()),
    }
