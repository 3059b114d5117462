"""Payment callbacks of banks: verification of the signature and decoding of the body.

The gateway has validated the body against the public contract and forwards it unmodified.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from generated.proto.delivery.orders.v1 import HandlePaymentCallbackRequest
from services.orders.domain.payments import Payment
from services.runtime.outbound import webhooks
from services.runtime.outbound.webhooks import SignedRequest

MAX_AMOUNT = 2**53 - 1
"""Largest integer that JSON numbers represent exactly."""

_ID_PATTERN = r"^[\x21-\x7e]+$"


class _PaymentCallback(msgspec.Struct):
    payment_id: Annotated[str, msgspec.Meta(max_length=128, pattern=_ID_PATTERN)]
    order_id: Annotated[str, msgspec.Meta(max_length=64, pattern=_ID_PATTERN)]
    amount: Annotated[int, msgspec.Meta(ge=0, le=MAX_AMOUNT)]
    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]
    status: Literal["succeeded", "failed"]


def verify_and_decode_payment(request: HandlePaymentCallbackRequest, secrets: Sequence[str]) -> Payment:
    """Verify that one of the bank's secrets signed the callback, then decode its body.

    Raises ApiError: SIGNATURE_INVALID, INVALID_REQUEST.
    """
    webhooks.verify_signature(
        SignedRequest(request.webhook_id, request.webhook_timestamp, request.webhook_signature, request.body), secrets
    )
    return decode_payment(request.bank_id, request.body)


def decode_payment(bank_id: str, body: bytes) -> Payment:
    """Decode the body of a payment callback.

    Raises ApiError: INVALID_REQUEST.
    """
    callback = webhooks.decode_body(body, _PaymentCallback)
    return Payment(
        bank_id=bank_id,
        payment_id=callback.payment_id,
        order_id=callback.order_id,
        amount=callback.amount,
        currency=callback.currency,
        succeeded=callback.status == "succeeded",
    )
