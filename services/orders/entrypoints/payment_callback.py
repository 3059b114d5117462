"""Payment callbacks of banks. The gateway forwards their bodies as received."""

from generated.proto.delivery.orders.v1 import HandlePaymentCallbackRequest
from generated.rest.delivery.callbacks import PAYMENT_CALLBACK
from generated.rest.delivery.models import PaymentStatus
from services.orders.domain.payments import Payment


def parse_payment(request: HandlePaymentCallbackRequest) -> Payment:
    """Parse the body of a payment callback.

    Raises ApiError: INVALID_REQUEST.
    """
    callback = PAYMENT_CALLBACK.parse(request.body)
    return Payment(
        bank_id=request.bank_id,
        payment_id=callback.payment_id,
        order_id=callback.order_id,
        amount=callback.amount,
        currency=callback.currency,
        succeeded=callback.status is PaymentStatus.succeeded,
    )
