"""The broker's door of partners."""

import asyncio

from generated.events.consumers import PartnersCallsConsumer
from generated.proto.delivery.events.v1 import OrderPaid
from services.partners import usecases
from services.partners.usecases import Call, Store
from services.runtime import tracing
from services.runtime.clock import Clock
from services.runtime.events import Delivery, MalformedEvent


class Calls(PartnersCallsConsumer):
    """An order was paid: its partner is to be told. `planned` wakes the worker that tells."""

    def __init__(self, store: Store, clock: Clock, public_url: str, planned: asyncio.Event) -> None:
        self._store = store
        self._clock = clock
        self._public_url = public_url
        self._planned = planned

    async def order_paid(self, event: OrderPaid, delivery: Delivery) -> None:
        """Plans the call; the event's id is the call's, so a repeat is known here and at the partner's."""
        if event.order is None:
            raise MalformedEvent("orders.paid without its order")
        payload = {
            "order_id": event.order.order_id,
            "items": [
                {"product_id": line.product_id, "title": line.title, "quantity": line.quantity} for line in event.items
            ],
            "callback_url": f"{self._public_url}/api/v1/callbacks/partners/{event.order.partner_id}/ready",
        }
        call = Call(
            id=delivery.event_id,
            partner_id=event.order.partner_id,
            order_id=event.order.order_id,
            payload=payload,
            trace=tracing.carrier(),
            attempts=0,
        )
        await usecases.plan_call(self._store, delivery.event_id, call, self._clock())
        self._planned.set()
