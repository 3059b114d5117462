"""Event consumer of partners: plans calls to partner systems from order events."""

import asyncio
from datetime import timedelta

import msgspec

from generated.events.consumers import PartnersCallsConsumer
from generated.proto.delivery.events.v1 import OrderCancelled, OrderPaid
from generated.rest.partner_system.models import PartnerCancellation, PartnerItem, PartnerOrder
from services.partners import usecases
from services.partners.domain.call_policy import Call, CallKind, CallState
from services.partners.usecases.partner_calls import PartnerCallsRepository
from services.runtime.concurrency.worker_pool import DUE_MARGIN_S
from services.runtime.core.clock import Clock
from services.runtime.messaging.events import MalformedEvent, MessageMetadata
from services.runtime.telemetry import tracing

MAX_REASON_LENGTH = 500
"""Maximum length of a cancellation reason sent to a partner, in characters."""


class OrderEventsConsumer(PartnersCallsConsumer):
    """Plans calls to partner systems and sets `wakeup` when they are due, so that the worker makes them at once."""

    def __init__(
        self,
        repository: PartnerCallsRepository,
        clock: Clock,
        public_url: str,
        initial_delay_s: float,
        wakeup: asyncio.Event,
    ) -> None:
        self._repository = repository
        self._order_calls = usecases.OrderCallPlanner(repository)
        self._clock = clock
        self._public_url = public_url
        self._initial_delay_s = initial_delay_s
        self._wakeup = wakeup

    async def on_order_paid(self, event: OrderPaid, delivery: MessageMetadata) -> None:
        """Plan the call about a paid order.

        The event id becomes the webhook id of the call, so both this service and the partner can deduplicate.
        """
        if event.order is None:
            raise MalformedEvent("orders.paid has no order")
        order = PartnerOrder(
            order_id=event.order.order_id,
            items=[
                PartnerItem(product_id=line.product_id, title=line.title, quantity=line.quantity)
                for line in event.items
            ],
            callback_url=f"{self._public_url}/api/v1/callbacks/partners/{event.order.partner_id}/ready",
            note=msgspec.UNSET if event.note is None else event.note,
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
        if await self._order_calls.plan(self.QUEUE, delivery.event_id, call):
            self._request_claim()

    async def on_order_cancelled(self, event: OrderCancelled, delivery: MessageMetadata) -> None:
        """Plan the call about a cancellation, if the partner may have received the order."""
        if event.order is None:
            raise MalformedEvent("orders.cancelled has no order")
        order_id = event.order.order_id
        reason = event.reason[:MAX_REASON_LENGTH] if event.reason else msgspec.UNSET
        cancellation = PartnerCancellation(order_id=order_id, reason=reason)
        if await usecases.plan_cancellation_call(
            self._repository,
            self.QUEUE,
            delivery.event_id,
            order_id,
            msgspec.to_builtins(cancellation),
            self._clock(),
            self._initial_delay_s,
        ):
            self._request_claim()

    def _request_claim(self) -> None:
        if self._initial_delay_s:
            asyncio.get_running_loop().call_later(self._initial_delay_s + DUE_MARGIN_S, self._wakeup.set)
        else:
            self._wakeup.set()
