"""REST handlers of webhooks from banks and partners.

The runtime has validated the body against the contract. The raw body is forwarded to the service that owns the secret,
which verifies the signature and decodes the body.
"""

from uuid import NAMESPACE_URL, uuid5

from generated.events import ORDER_READY_REPORTED
from generated.proto.delivery.events.v1 import OrderReadyReported
from generated.proto.delivery.orders.v1 import HandlePaymentCallbackRequest
from generated.proto.delivery.orders.v1.rpc import OrdersStub
from generated.proto.delivery.partners.v1 import VerifyReadyCallbackRequest
from generated.proto.delivery.partners.v1.rpc import PartnersStub
from generated.rest.delivery import convert
from generated.rest.delivery.handlers import CallbacksHandler
from generated.rest.delivery.models import PaymentReceipt
from services.runtime.core.clock import Clock
from services.runtime.messaging.events import Envelope
from services.runtime.messaging.publisher import Publisher
from services.runtime.outbound.webhooks import SignedRequest
from services.runtime.telemetry import tracing


class Callbacks(CallbacksHandler):
    """Operations tagged `callbacks`."""

    def __init__(self, orders: OrdersStub, partners: PartnersStub, publisher: Publisher, clock: Clock) -> None:
        self._orders = orders
        self._partners = partners
        self._publisher = publisher
        self._clock = clock

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
        """Verify that an order is ready and publish the event.

        The event's id is derived from the webhook's, so that consumers deduplicate repeated webhooks.
        """
        request = VerifyReadyCallbackRequest(
            partner_id=partner_id,
            webhook_id=webhook.id,
            webhook_timestamp=webhook.timestamp,
            webhook_signature=webhook.signature,
            body=webhook.body,
        )
        response = await self._partners.verify_ready_callback(request)
        event = OrderReadyReported(
            order_id=response.order_id, partner_id=partner_id, pickup_address=response.pickup_address
        )
        await self._publisher.publish(
            Envelope(
                id=str(uuid5(NAMESPACE_URL, f"partner:{partner_id}:{webhook.id}")),
                source="/gateway",
                type=ORDER_READY_REPORTED.type,
                subject=response.order_id,
                occurred_at=self._clock(),
                trace_context=tracing.get_context_headers(),
                payload=ORDER_READY_REPORTED.encode(event),
            )
        )
