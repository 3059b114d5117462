"""Standard Webhooks client and signature verification of banks and partners."""

import hmac
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import httpx
import msgspec
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from services.sandbox.http_helpers import HttpError
from services.sandbox.settings import validate_webhook_secret
from services.sandbox.store import SqliteDatabase

log = logging.getLogger(__name__)


class SetSecretRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Request to set the webhook secret of a bank or partner."""

    webhook_secret: str


class CallbackResponse(msgspec.Struct, frozen=True, omit_defaults=True):
    """Response to a callback, with its trace id. Status 0 means no response; the body then names the error."""

    status: int
    body: object
    trace_id: str | None = None


class WebhookClient:
    """Signs and verifies webhooks of each bank and partner with its latest secret."""

    def __init__(self, database: SqliteDatabase, default_secret: str, client: httpx.AsyncClient) -> None:
        self._database = database
        self._default_secret = default_secret
        self._client = client

    def set_secret(self, owner: str, request: SetSecretRequest) -> None:
        """Set the secret of an owner. Raises HttpError 400 if it is invalid."""
        try:
            secret = validate_webhook_secret(request.webhook_secret)
        except ValueError as error:
            raise HttpError(400, str(error)) from None
        self._database.execute("INSERT OR REPLACE INTO secrets VALUES (?, ?)", owner, secret)

    def _create_signer(self, owner: str) -> Webhook:
        row = self._database.fetch_one("SELECT secret FROM secrets WHERE owner = ?", owner)
        return Webhook(row["secret"] if row else self._default_secret)

    def has_valid_signature(self, owner: str, headers: Mapping[str, str], body: bytes) -> bool:
        """Return whether the signature was made with the owner's secret less than five minutes ago."""
        try:
            self._create_signer(owner).verify(body, dict(headers), json_parse=False)
        except (WebhookVerificationError, ValueError):
            return False
        return True

    def has_valid_checkout_signature(
        self, owner: str, query: Mapping[str, str], signature_name: str, signed_names: Sequence[str]
    ) -> bool:
        """Return whether one of the signatures in a parameter of a checkout page is valid for other parameters."""
        try:
            sent_at = datetime.fromtimestamp(int(query["timestamp"]), UTC)
            content = ".".join(query[name] for name in signed_names)
            signatures = query[signature_name].split(" ")
        except (KeyError, ValueError, OverflowError):
            return False
        expected = self._create_signer(owner).sign(query.get("order_id", ""), sent_at, content)
        return any(hmac.compare_digest(expected.encode(), signature.encode()) for signature in signatures)

    async def send(self, owner: str, url: str, webhook_id: str, content: object) -> CallbackResponse:
        """Sign the content and send it. Never raises for errors of the receiver."""
        body = msgspec.json.encode(content)
        now = datetime.now(UTC)
        headers = {
            "content-type": "application/json",
            "webhook-id": webhook_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._create_signer(owner).sign(webhook_id, now, body.decode()),
        }
        try:
            response = await self._client.post(url, content=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            log.warning("callback of %s failed: no response to %s: %s", owner, webhook_id, type(error).__name__)
            return CallbackResponse(0, type(error).__name__)
        trace_ids = response.headers.get("traceresponse", "").split("-")[1:2]
        trace_id = trace_ids[0] if trace_ids else None
        if not response.content:
            return CallbackResponse(response.status_code, None, trace_id)
        try:
            return CallbackResponse(response.status_code, msgspec.json.decode(response.content), trace_id)
        except msgspec.DecodeError:
            return CallbackResponse(response.status_code, response.text, trace_id)
