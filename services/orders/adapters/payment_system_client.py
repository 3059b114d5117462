"""HTTP client of the banks' refund API, as specified in `payment-system.yaml`."""

from contextlib import AbstractContextManager
from datetime import datetime
from typing import override

import httpx
import msgspec
from opentelemetry.trace import Span, SpanKind

from generated.problems import Reason
from services.orders.adapters import metrics
from services.orders.domain.orders import Bank
from services.orders.domain.payments import BankPaymentPage, Payment, Refund, RefundResponse
from services.orders.usecases.bank_reconciliation import BankPaymentLister
from services.orders.usecases.refunds import PaymentSystem
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError
from services.runtime.core.ids import generate_id
from services.runtime.outbound import webhook_secrets
from services.runtime.outbound.signed_client import RequestFailedError, SignedClient, SignedPost
from services.runtime.storage.encryption import SecretBox
from services.runtime.telemetry import tracing

REFUNDS_PATH = "/refunds"

PAYMENTS_PATH = "/payments/list"

UNSUPPORTED_STATUS_CODES = frozenset({404, 405, 501})
"""Status codes of banks that have no list of payments."""

FINAL_STATUS_CODES = frozenset({400, 401, 404, 409, 422})
"""Status codes that the contract defines as final; any other error is retried."""


class _RefundPayload(msgspec.Struct):
    refund_id: str
    payment_id: str
    amount: int
    currency: str


class _PaymentListRequest(msgspec.Struct):
    captured_since: datetime
    captured_until: datetime
    page_token: str | msgspec.UnsetType


class _CapturedPayment(msgspec.Struct):
    payment_id: str
    order_id: str
    amount: int
    currency: str


class _PaymentList(msgspec.Struct):
    payments: list[_CapturedPayment]
    next_page_token: str | None = None


class HttpPaymentSystem(PaymentSystem, BankPaymentLister):
    """HTTP client of banks: POST {api_url}/refunds and POST {api_url}/payments/list.

    The id of a refund is the webhook id of its requests, so all attempts are equal.
    """

    def __init__(
        self, transport: httpx.AsyncBaseTransport, secret_box: SecretBox, clock: Clock, timeout_s: float
    ) -> None:
        self._client = SignedClient(transport, "payment-system", clock, timeout_s)
        self._secret_box = secret_box
        self._clock = clock

    @override
    async def refund(self, bank: Bank, refund: Refund) -> RefundResponse:
        response = await self._send(bank, refund)
        metrics.record_refund_attempt(response)
        return response

    @override
    async def list_payments(
        self, bank: Bank, since: datetime, until: datetime, page_token: str | None
    ) -> BankPaymentPage | None:
        payload = _PaymentListRequest(since, until, msgspec.UNSET if page_token is None else page_token)
        secrets = webhook_secrets.decrypt_active_secrets(bank, self._secret_box.decrypt_cached, self._clock())
        attributes: dict[str, str | int] = {"service.peer.name": "bank", "delivery.bank_id": bank.id}
        try:
            response = await self._client.post(
                SignedPost(bank.api_url, PAYMENTS_PATH, generate_id(), msgspec.json.encode(payload), secrets),
                "list payments",
                attributes,
            )
        except RequestFailedError as error:
            raise ApiError(Reason.UPSTREAM_UNAVAILABLE, str(error)) from error
        status = response.http.status_code
        if status in UNSUPPORTED_STATUS_CODES:
            return None
        if status != httpx.codes.OK or not response.is_valid:
            raise ApiError(Reason.UPSTREAM_UNAVAILABLE, f"{status}: response violates the contract")
        page = msgspec.json.decode(response.body, type=_PaymentList, strict=False)
        payments = [
            Payment(bank.id, each.payment_id, each.order_id, each.amount, each.currency, succeeded=True)
            for each in page.payments
        ]
        return BankPaymentPage(payments, page.next_page_token)

    async def _send(self, bank: Bank, refund: Refund) -> RefundResponse:
        payload = _RefundPayload(refund.id, refund.payment_id, refund.amount, refund.currency)
        try:
            secrets = webhook_secrets.decrypt_active_secrets(bank, self._secret_box.decrypt_cached, self._clock())
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
        if not response.is_valid:
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
    """Return whether a valid response is for the request. Its conversion is lax, since 34.0 is a valid integer."""
    try:
        return msgspec.json.decode(response_body, type=_RefundPayload, strict=False) == payload
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False
