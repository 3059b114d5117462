"""HTTP client of the banks' refund API, as specified in `payment-system.yaml`."""

from contextlib import AbstractContextManager
from typing import override

import httpx
import msgspec
from opentelemetry.trace import Span, SpanKind

from services.orders.adapters import metrics
from services.orders.domain.orders import Bank
from services.orders.domain.payments import Refund, RefundResponse
from services.orders.usecases.refunds import PaymentSystem
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError
from services.runtime.outbound import webhook_secrets
from services.runtime.outbound.signed_client import RequestFailedError, SignedClient, SignedPost
from services.runtime.storage.encryption import SecretBox
from services.runtime.telemetry import tracing

REFUNDS_PATH = "/refunds"

FINAL_STATUS_CODES = frozenset({400, 401, 404, 409, 422})
"""Status codes that the contract defines as final; any other error is retried."""


class _RefundPayload(msgspec.Struct):
    refund_id: str
    payment_id: str
    amount: int
    currency: str


class HttpPaymentSystem(PaymentSystem):
    """HTTP client that sends POST {api_url}/refunds. The refund's id is the webhook id, so all attempts are equal."""

    def __init__(self, client: httpx.AsyncClient, secret_box: SecretBox, clock: Clock, timeout_s: float) -> None:
        self._client = SignedClient(client, "payment-system", clock, timeout_s)
        self._secret_box = secret_box
        self._clock = clock

    @override
    async def refund(self, bank: Bank, refund: Refund) -> RefundResponse:
        response = await self._send(bank, refund)
        metrics.record_refund_attempt(response)
        return response

    async def _send(self, bank: Bank, refund: Refund) -> RefundResponse:
        payload = _RefundPayload(refund.id, refund.payment_id, refund.amount, refund.currency)
        try:
            secrets = webhook_secrets.decrypt_active_secrets(bank, self._secret_box.decrypt, self._clock())
        except ApiError:
            return _build_retryable("not sent: the secret cannot be decrypted")
        attributes = {
            "service.peer.name": "bank",
            "delivery.bank_id": bank.id,
            "delivery.order_id": refund.order_id,
        }
        try:
            response = await self._client.post(
                SignedPost(bank.api_url, REFUNDS_PATH, refund.id, msgspec.json.encode(payload), secrets),
                "refund",
                attributes,
            )
        except RequestFailedError as error:
            return _build_retryable(str(error))
        status = response.http.status_code
        if status != httpx.codes.OK:
            return RefundResponse(is_refunded=False, is_final=status in FINAL_STATUS_CODES, message=str(status))
        if not response.is_valid():
            return _build_retryable("200: response violates the contract")
        if not _matches_request(response.body, payload):
            return _build_retryable("200: response is for another refund")
        return RefundResponse(is_refunded=True, is_final=True, message="200")


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
