"""Decoder of payment callbacks, defined by `PaymentCallback` in the public contract."""

import msgspec

from generated.problems import Reason
from generated.rest.delivery.models import PaymentCallback, PaymentStatus
from services.orders.domain.payments import Payment
from services.runtime.core.errors import ApiError


def decode_payment(bank_id: str, body: bytes) -> Payment:
    """Decode the JSON body of a payment callback.

    Raises ApiError: INVALID_REQUEST.
    """
    try:
        # Not strict: JSON Schema, which the gateway validates against, accepts 405.0 as an integer.
        callback = msgspec.convert(msgspec.json.decode(body), PaymentCallback, strict=False)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ApiError(Reason.INVALID_REQUEST) from error
    return Payment(
        bank_id=bank_id,
        payment_id=callback.payment_id,
        order_id=callback.order_id,
        amount=callback.amount,
        currency=callback.currency,
        succeeded=callback.status is PaymentStatus.succeeded,
    )
