"""Banks' own systems: refunds as `payment-system.yaml` describes them, signed, not redirected, capped."""

import asyncio
from urllib.parse import urlsplit

import httpx
import msgspec
from opentelemetry.trace import SpanKind

from services.orders.adapters import metrics
from services.orders.domain.orders import Bank
from services.orders.domain.payments import Refund
from services.orders.usecases.payment_callbacks import active_secrets
from services.orders.usecases.ports import RefundResponse
from services.runtime.core.clock import Clock
from services.runtime.outbound import contract_validation, webhooks
from services.runtime.storage.encryption import SecretBox
from services.runtime.telemetry import tracing

REFUNDS_PATH = "/refunds"

FINAL_STATUS_CODES = frozenset({400, 401, 404, 409, 422})
"""Statuses that are final by the contract; what it does not know is a failed try."""

MAX_RESPONSE_BYTES = 64 * 1024
"""Bytes of an answer that are read; more than that is not an answer."""


class _RefundPayload(msgspec.Struct):
    refund_id: str
    payment_id: str
    amount: int
    currency: str


class HttpPaymentSystem:
    """POST {api_url}/refunds, with the refund's id as the webhook's, so that every try is the same request."""

    def __init__(self, client: httpx.AsyncClient, secret_box: SecretBox, clock: Clock, timeout_s: float) -> None:
        self._client = client
        self._timeout_s = timeout_s
        self._secret_box = secret_box
        self._clock = clock
        self._contract = contract_validation.load_contract("payment-system")

    async def refund(self, bank: Bank, refund: Refund) -> RefundResponse:
        """Asks once. Never raises for what the bank or the network does."""
        return metrics.record_refund_attempt(await self._send(bank, refund))

    async def _send(self, bank: Bank, refund: Refund) -> RefundResponse:
        asked = _RefundPayload(refund.id, refund.payment_id, refund.amount, refund.currency)
        body = msgspec.json.encode(asked)
        headers = self._build_signed_headers(bank, refund, body)
        if not self._contract.is_valid_request(REFUNDS_PATH, headers, body):
            return RefundResponse(False, False, "not sent, not by the contract")
        about = {
            "service.peer.name": "bank",
            "http.request.method": "POST",
            "server.address": urlsplit(bank.api_url).hostname or "",
            "delivery.bank_id": bank.id,
            "delivery.order_id": refund.order_id,
        }
        with tracing.start_span("refund", SpanKind.CLIENT, None, about) as span:
            try:
                async with (
                    asyncio.timeout(self._timeout_s),  # httpx's own begins again with every byte
                    self._client.stream(
                        "POST",
                        bank.api_url + REFUNDS_PATH,
                        content=body,
                        headers=headers | tracing.get_context_headers(),
                    ) as answer,
                ):
                    tracing.record_http_response(span, answer.status_code)
                    read = b""
                    async for chunk in answer.aiter_raw():
                        read += chunk
                        if len(read) > MAX_RESPONSE_BYTES:
                            return RefundResponse(False, False, "an answer without end")
            except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
                tracing.record_error(span, type(error).__name__)
                return RefundResponse(False, False, type(error).__name__)
        if answer.status_code != httpx.codes.OK:
            return RefundResponse(False, answer.status_code in FINAL_STATUS_CODES, str(answer.status_code))
        if not self._contract.is_valid_response(REFUNDS_PATH, headers, body, answer, read):
            return RefundResponse(False, False, "200, not by the contract")
        return (
            RefundResponse(True, True, "200")
            if _matches_request(read, asked)
            else RefundResponse(False, False, "200 with another refund")
        )

    def _build_signed_headers(self, bank: Bank, refund: Refund, body: bytes) -> dict[str, str]:
        """Signed with every secret that is good now: the bank may not have the new one yet."""
        now = self._clock()
        signed = [
            webhooks.sign_message(refund.id, now, body, secret)
            for secret in active_secrets(bank, self._secret_box, now)
        ]
        signatures = " ".join(headers["webhook-signature"] for headers in signed)
        said = {"content-type": "application/json", "accept-encoding": "identity"}
        return signed[0] | said | {"webhook-signature": signatures}


def _matches_request(body: bytes, request: _RefundPayload) -> bool:
    try:
        return msgspec.json.decode(body, type=_RefundPayload) == request
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False
