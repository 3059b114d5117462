"""The broker's door of partners: what becomes of an order is told to its partner."""

import asyncio
from datetime import timedelta

import msgspec

from generated.events.consumers import PartnersCallsConsumer
from generated.proto.delivery.events.v1 import OrderCancelled, OrderPaid
from generated.rest.partner_system.models import PartnerItem, PartnerOrder
from services.partners import usecases
from services.partners.domain.call_policy import Call, CallKind, CallState
from services.partners.usecases.partner_calls import CallRepository as Store
from services.runtime.core.clock import Clock
from services.runtime.messaging.events import MalformedEvent, MessageMetadata
from services.runtime.telemetry import tracing

MAX_REASON_LENGTH = 500
"""Characters of a reason that partners are told."""


class OrderEventsConsumer(PartnersCallsConsumer):
    """Plans calls. `planned` wakes the worker that makes them; `first_pause` is in seconds, and usually 0."""

    def __init__(
        self, repository: Store, clock: Clock, public_url: str, initial_delay_s: float, wakeup: asyncio.Event
    ) -> None:
        self._repository = repository
        self._clock = clock
        self._public_url = public_url
        self._initial_delay_s = initial_delay_s
        self._wakeup = wakeup

    async def order_paid(self, event: OrderPaid, delivery: MessageMetadata) -> None:
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
            trace=tracing.get_context_headers(),
            state=CallState.WAITING,
            attempts=0,
            next_at=now + timedelta(seconds=self._initial_delay_s),
            created_at=now,
        )
        if await usecases.plan_order_call(self._repository, self.QUEUE, delivery.event_id, call):
            self._wakeup.set()

    async def order_cancelled(self, event: OrderCancelled, delivery: MessageMetadata) -> None:
        """Plans that the partner is told, if it may have heard of the order."""
        if event.order is None:
            raise MalformedEvent("orders.cancelled without its order")
        reason = event.reason and event.reason[:MAX_REASON_LENGTH]
        if await usecases.plan_cancellation_call(
            self._repository,
            self.QUEUE,
            delivery.event_id,
            event.order.order_id,
            reason,
            self._clock(),
            self._initial_delay_s,
        ):
            self._wakeup.set()
