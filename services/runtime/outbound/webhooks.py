"""Signatures according to Standard Webhooks (https://www.standardwebhooks.com)."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import NamedTuple, Protocol

from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook, WebhookVerificationError

from generated.problems import Reason
from services.runtime.core.errors import ApiError


class SignedRequest(NamedTuple):
    """Received request: the three webhook headers and the raw body."""

    id: str
    timestamp: str
    signature: str
    body: bytes


class SignedMessage(Protocol):
    """RPC request with the three webhook headers and the raw body."""

    webhook_id: str
    webhook_timestamp: str
    webhook_signature: str
    body: bytes


def create_verifier(message: SignedMessage) -> Callable[[Sequence[str]], None]:
    """Return `verify_signature` for a message."""
    request = SignedRequest(message.webhook_id, message.webhook_timestamp, message.webhook_signature, message.body)
    return partial(verify_signature, request)


def verify_signature(request: SignedRequest, secrets: Sequence[str]) -> None:
    """Verify that one of the secrets signed the request, with a timestamp within five minutes of now.

    Raises ApiError: SIGNATURE_INVALID.
    """
    headers = {
        "webhook-id": request.id,
        "webhook-timestamp": request.timestamp,
        "webhook-signature": request.signature,
    }
    for secret in secrets:
        try:
            Webhook(secret).verify(request.body, headers, json_parse=False)
        except (WebhookVerificationError, EmptyWebhookSecretError, ValueError):
            continue
        return
    raise ApiError(Reason.SIGNATURE_INVALID)


def sign_message(message_id: str, sent_at: datetime, body: bytes, secret: str) -> dict[str, str]:
    """Return the three webhook headers of a request."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(sent_at.timestamp())),
        "webhook-signature": Webhook(secret).sign(message_id, sent_at, body.decode()),
    }


def sign_content(message_id: str, sent_at: datetime, content: str, secrets: Sequence[str]) -> str:
    """Return a signature by each secret, separated by spaces."""
    return " ".join(Webhook(secret).sign(message_id, sent_at, content) for secret in secrets)
