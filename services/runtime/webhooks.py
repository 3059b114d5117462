"""Standard Webhooks, both ways: verifying what arrives, signing what leaves."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from generated.problems import Reason
from services.runtime.refusal import Refusal


class SignedRequest(NamedTuple):
    """A callback as it arrived: the three headers, and the body byte for byte."""

    id: str
    timestamp: str
    signature: str
    body: bytes


def verify(request: SignedRequest, secrets: Sequence[str]) -> None:
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
    raise Refusal(Reason.SIGNATURE_INVALID)


def sign(message_id: str, at: datetime, body: bytes, secret: str) -> dict[str, str]:
    """The three headers for a request that leaves now."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(message_id, at, body.decode()),
    }
