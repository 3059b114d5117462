"""Client of the banks' refund API (`payment-system.yaml`): signed, without redirects, with a bounded response size."""

import asyncio
from contextlib import AbstractContextManager
from urllib.parse import urlsplit

import httpx
import msgspec
from opentelemetry.trace import Span, SpanKind

from services.orders.adapters import metrics
from services.orders.domain.orders import Bank
from services.orders.domain.payments import Refund
from services.orders.usecases.payment_callbacks import decrypt_active_secrets
from services.orders.usecases.ports import RefundResponse
from services.runtime.core.clock import Clock
from services.runtime.outbound import contract_validation, webhooks
from services.runtime.storage.encryption import SecretBox
from services.runtime.telemetry import tracing

REFUNDS_PATH = "/refunds"

FINAL_STATUS_CODES = frozenset({400, 401, 404, 409, 422})
"""Status codes that the contract defines as final; any other error is retried."""

MAX_RESPONSE_BYTES = 64 * 1024


class _RefundPayload(msgspec.Struct):
    refund_id: str
    payment_id: str
    amount: int
    currency: str


class HttpPaymentSystem:
    """HTTP client that sends POST {api_url}/refunds. The refund's id is the webhook id, so all attempts are equal."""

    def __init__(self, client: httpx.AsyncClient, secret_box: SecretBox, clock: Clock, timeout_s: float) -> None:
        self._client = client
        self._timeout_s = timeout_s
        self._secret_box = secret_box
        self._clock = clock
        self._contract = contract_validation.load_contract("payment-system")

    async def refund(self, bank: Bank, refund: Refund) -> RefundResponse:
        """Send one refund request. Bank and network errors are returned, not raised."""
        response = await self._send(bank, refund)
        metrics.record_refund_attempt(response)
        return response

    async def _send(self, bank: Bank, refund: Refund) -> RefundResponse:
        payload = _RefundPayload(refund.id, refund.payment_id, refund.amount, refund.currency)
        body = msgspec.json.encode(payload)
        headers = self._build_signed_headers(bank, refund, body)
        if not self._contract.is_valid_request(REFUNDS_PATH, headers, body):
            return _build_retryable("not sent: request violates the contract")
        attributes = {
            "service.peer.name": "bank",
            "http.request.method": "POST",
            "server.address": urlsplit(bank.api_url).hostname or "",
            "delivery.bank_id": bank.id,
            "delivery.order_id": refund.order_id,
        }
        with tracing.start_span("refund", SpanKind.CLIENT, None, attributes) as span:
            try:
                async with (
                    asyncio.timeout(self._timeout_s),  # total timeout; the timeout of httpx applies to each read
                    self._client.stream(
                        "POST",
                        bank.api_url + REFUNDS_PATH,
                        content=body,
                        headers=headers | tracing.get_context_headers(),
                    ) as response,
                ):
                    tracing.record_http_response(span, response.status_code)
                    response_body = b""
                    async for chunk in response.aiter_raw():
                        response_body += chunk
                        if len(response_body) > MAX_RESPONSE_BYTES:
                            return _build_retryable("response too large")
            except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
                tracing.record_error(span, type(error).__name__)
                return _build_retryable(type(error).__name__)
        if response.status_code != httpx.codes.OK:
            is_final = response.status_code in FINAL_STATUS_CODES
            return RefundResponse(is_refunded=False, is_final=is_final, message=str(response.status_code))
        if not self._contract.is_valid_response(REFUNDS_PATH, headers, body, response, response_body):
            return _build_retryable("200: response violates the contract")
        if not _matches_request(response_body, payload):
            return _build_retryable("200: response is for another refund")
        return RefundResponse(is_refunded=True, is_final=True, message="200")

    def _build_signed_headers(self, bank: Bank, refund: Refund, body: bytes) -> dict[str, str]:
        """Build the headers, signed with each active secret, since the bank may not have the newest one yet."""
        now = self._clock()
        signed_headers = [
            webhooks.sign_message(refund.id, now, body, secret)
            for secret in decrypt_active_secrets(bank, self._secret_box, now)
        ]
        signatures = " ".join(headers["webhook-signature"] for headers in signed_headers)
        return signed_headers[0] | {
            "content-type": "application/json",
            "accept-encoding": "identity",
            "webhook-signature": signatures,
        }


def start_refund_span(refund: Refund) -> AbstractContextManager[Span]:
    """Start the span of one attempt at a refund, in the trace of the request that created the refund."""
    attributes: dict[str, str | int] = {"delivery.order_id": refund.order_id, "delivery.attempt": refund.attempts}
    return tracing.start_span("send refund", SpanKind.CONSUMER, refund.trace, attributes, link=True)


def _build_retryable(message: str) -> RefundResponse:
    return RefundResponse(is_refunded=False, is_final=False, message=message)


def _matches_request(response_body: bytes, payload: _RefundPayload) -> bool:
    try:
        return msgspec.json.decode(response_body, type=_RefundPayload) == payload
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False
