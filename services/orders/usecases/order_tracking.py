"""Stream of an order's status changes and of its deliverer's positions."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager
from datetime import datetime
from typing import NamedTuple, Protocol

from services.orders.domain.addresses import DelivererPosition
from services.orders.domain.orders import FINAL_STATUSES, OrderStatus
from services.orders.usecases.orders import get_order
from services.orders.usecases.ports import Repository
from services.runtime.core.clock import Clock
from services.runtime.core.principal import Principal

POLL_INTERVAL_S = 5.0
"""Seconds after which a watched order is polled without a change notification, since a notification may be lost."""


class OrderUpdate(NamedTuple):
    """Status of an order as of a version. With a position, nothing else has changed."""

    version: int
    status: OrderStatus
    at: datetime
    position: DelivererPosition | None = None


class OrderChangeListener(Protocol):
    """Source of notifications about orders and the positions of their deliverers."""

    def subscribe(self, order_id: str) -> AbstractContextManager[asyncio.Event]:
        """Subscribe to an order; the event is set when the order may have changed."""


async def watch_order(
    repository: Repository,
    change_listener: OrderChangeListener,
    clock: Clock,
    principal: Principal,
    order_id: str,
    after_version: int | None,
) -> AsyncGenerator[OrderUpdate]:
    """Yield the order's current status, then every transition, until its status is final or the token expires.

    While the order is being delivered, its customer also receives the latest position of the deliverer.

    `after_version` resumes a stream: the transitions since that version are yielded instead of the current status.
    A version that the order does not have is ignored.

    Raises ApiError: ORDER_NOT_FOUND.
    """
    with change_listener.subscribe(order_id) as changed:
        order = await get_order(repository, principal, order_id)
        status, last_version, last_position = order.status, order.version, None
        if after_version is not None and 0 < after_version <= order.version:
            last_version = after_version
        else:
            yield OrderUpdate(order.version, order.status, order.updated_at)
        while clock() < principal.expires_at:
            changed.clear()
            for transition in await repository.orders.list_transitions(order_id, last_version):
                yield OrderUpdate(transition.version, transition.status, transition.at)
                status, last_version = transition.status, transition.version
                if status in FINAL_STATUSES:
                    return
            if status in FINAL_STATUSES:
                return
            if status is OrderStatus.DELIVERING and order.customer_id == principal.user_id:
                position = await repository.positions.get(order_id)
                if position is not None and position != last_position:
                    yield OrderUpdate(last_version, status, position.at, position)
                    last_position = position
            remaining_s = (principal.expires_at - clock()).total_seconds()
            try:
                async with asyncio.timeout(min(POLL_INTERVAL_S, remaining_s)):
                    await changed.wait()
            except TimeoutError:
                continue
