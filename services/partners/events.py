"""The broker's door of partners: what becomes of an order is told to its partner."""

import asyncio
from datetime import timedelta

import msgspec

from generated.events.consumers import PartnersCallsConsumer
from generated.proto.delivery.events.v1 import OrderCancelled, OrderPaid
from generated.rest.partner_system.models import PartnerItem, PartnerOrder
from services.partners import usecases
from services.partners.retries import Call, CallKind, CallState
from services.partners.usecases.calls import Calls as Store
from services.runtime import tracing
from services.runtime.clock import Clock
from services.runtime.events import Delivery, MalformedEvent

REASON = 500
"""Characters of a reason that partners are told."""


class Calls(PartnersCallsConsumer):
    """Plans calls. `planned` wakes the worker that makes them; `first_pause` is in seconds, and usually 0."""

    def __init__(self, store: Store, clock: Clock, public_url: str, first_pause: float, planned: asyncio.Event) -> None:
        self._store = store
        self._clock = clock
        self._public_url = public_url
        self._first_pause = first_pause
        self._planned = planned

    async def order_paid(self, event: OrderPaid, delivery: Delivery) -> None:
        """Plans the call; the event's id is the call's, so a repeat is known here and at the partner's."""
        if event.order is None:
            raise MalformedEvent("orders.paid without its order")
        order = PartnerOrder(
            order_id=event.order.order_id,
            items=[
                PartnerItem(product_id=line.product_id, title=line.title, quantity=line.quantity)
                for line in event.items
            ],
            callback_url=f"{self._public_url}/api/v1/callbacks/partners/{event.order.partner_id}/ready",
        )
        now = self._clock()
        call = Call(
            id=delivery.event_id,
            partner_id=event.order.partner_id,
            order_id=event.order.order_id,
            kind=CallKind.ORDER,
            payload=msgspec.to_builtins(order),
            trace=tracing.carrier(),
            state=CallState.WAITING,
            attempts=0,
            next_at=now + timedelta(seconds=self._first_pause),
            created_at=now,
        )
        if await usecases.plan_order(self._store, self.QUEUE, delivery.event_id, call):
            self._planned.set()

    async def order_cancelled(self, event: OrderCancelled, delivery: Delivery) -> None:
        """Plans that the partner is told, if it may have heard of the order."""
        if event.order is None:
            raise MalformedEvent("orders.cancelled without its order")
        reason = event.reason and event.reason[:REASON]
        if await usecases.plan_cancellation(
            self._store,
            self.QUEUE,
            delivery.event_id,
            event.order.order_id,
            reason,
            self._clock(),
            self._first_pause,
        ):
            self._planned.set()
