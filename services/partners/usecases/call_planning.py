"""Planning of calls to partner systems, after an order is paid or cancelled."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from services.partners.domain.call_policy import Call, CallKind, CallState
from services.partners.usecases.partner_calls import PartnerCallsRepository, SourceKey
from services.runtime.concurrency.micro_batching import MicroBatcher


class OrderCallPlanner:
    """Plans the calls about paid orders. Concurrent ones share one transaction."""

    def __init__(self, repository: PartnerCallsRepository) -> None:
        self._repository = repository
        self._batcher = MicroBatcher(self._plan_all)

    async def plan(self, queue: str, event_id: str, call: Call) -> bool:
        """Plan the call about a paid order. Return False for a repeated event or a cancelled order."""
        return await self._batcher.submit(((queue, event_id), call))

    async def _plan_all(self, items: Sequence[tuple[SourceKey, Call]]) -> Sequence[bool]:
        calls = dict(reversed(items))
        async with self._repository.unit_of_work() as unit:
            planned = await unit.calls.add_for_new_events(calls)
        return [event in planned and calls[event] is call for event, call in items]


async def plan_cancellation_call(
    repository: PartnerCallsRepository,
    queue: str,
    event_id: str,
    order_id: str,
    payload: dict[str, Any],
    at: datetime,
    initial_delay_s: float,
) -> bool:
    """Withdraw a waiting call about a cancelled order, and plan the call about the cancellation with this payload.

    Return False if no cancellation is planned: for a repeated event, or if no attempt was made to call the partner
    about the order.
    """
    async with repository.unit_of_work() as unit:
        if not await unit.mark_event_processed(queue, event_id):
            return False
        await unit.calls.lock_order(order_id)
        await unit.calls.mark_cancelled(order_id, at)
        order_call = await unit.calls.get_order_call_for_update(order_id)
        if order_call is None:
            return False
        if order_call.state is CallState.WAITING:
            await unit.calls.save(replace(order_call, state=CallState.WITHDRAWN))
        if order_call.attempts == 0 and not order_call.tries:
            return False
        await unit.calls.add(
            Call(
                id=event_id,
                partner_id=order_call.partner_id,
                order_id=order_id,
                kind=CallKind.CANCELLATION,
                payload=payload,
                trace=order_call.trace,
                state=CallState.WAITING,
                attempts=0,
                next_at=at + timedelta(seconds=initial_delay_s),
                created_at=at,
            )
        )
        return True
