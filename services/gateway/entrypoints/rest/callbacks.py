"""REST handlers of webhooks from banks and partners.

The runtime has validated the body against the contract. The raw body is forwarded to the service that owns the secret,
which verifies the signature and decodes the body.
"""

from generated.proto.delivery.orders.v1 import HandlePaymentCallbackRequest
from generated.proto.delivery.orders.v1.rpc import OrdersStub
from generated.proto.delivery.partners.v1 import HandleReadyCallbackRequest
from generated.proto.delivery.partners.v1.rpc import PartnersStub
from generated.rest.delivery import convert
from generated.rest.delivery.handlers import CallbacksHandler
from generated.rest.delivery.models import PaymentReceipt
from services.runtime.outbound.webhooks import SignedRequest


class Callbacks(CallbacksHandler):
    """Operations tagged `callbacks`."""

    def __init__(self, orders: OrdersStub, partners: PartnersStub) -> None:
        self._orders = orders
        self._partners = partners

    async def payment_callback(self, *, webhook: SignedRequest, bank_id: str) -> PaymentReceipt:
        """Forward a payment callback."""
        request = HandlePaymentCallbackRequest(
            bank_id=bank_id,
            webhook_id=webhook.id,
            webhook_timestamp=webhook.timestamp,
            webhook_signature=webhook.signature,
            body=webhook.body,
        )
        return convert.payment_receipt(await self._orders.handle_payment_callback(request))

    async def partner_ready_callback(self, *, webhook: SignedRequest, partner_id: int) -> None:
        """Forward a ready callback."""
        request = HandleReadyCallbackRequest(
            partner_id=partner_id,
            webhook_id=webhook.id,
            webhook_timestamp=webhook.timestamp,
            webhook_signature=webhook.signature,
            body=webhook.body,
        )
        await self._partners.handle_ready_callback(request)
