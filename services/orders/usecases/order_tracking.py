"""Stream of an order's status changes."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager
from typing import Protocol

from services.orders.domain.orders import FINAL_STATUSES, HistoryEntry
from services.orders.usecases.orders import get_order
from services.orders.usecases.ports import Repository
from services.runtime.core.clock import Clock
from services.runtime.core.principal import Principal

POLL_INTERVAL_S = 5.0
"""Seconds after which a watched order is polled without a change notification, since a notification may be lost."""


class OrderChangeListener(Protocol):
    """Source of order change notifications."""

    def subscribe(self, order_id: str) -> AbstractContextManager[asyncio.Event]:
        """Subscribe to an order; the event is set when the order may have changed."""


async def watch_order(
    repository: Repository,
    change_listener: OrderChangeListener,
    clock: Clock,
    principal: Principal,
    order_id: str,
    after_version: int | None,
) -> AsyncGenerator[HistoryEntry]:
    """Yield the order's current status, then every transition, until its status is final or the token expires.

    `after_version` resumes a stream: the transitions since that version are yielded instead of the current status.
    A version that the order does not have is ignored.

    Raises ApiError: ORDER_NOT_FOUND.
    """
    with change_listener.subscribe(order_id) as changed:
        order = await get_order(repository, principal, order_id)
        status, last_version = order.status, order.version
        if after_version is not None and 0 < after_version <= order.version:
            last_version = after_version
        else:
            yield HistoryEntry(order.id, order.version, order.status, order.updated_at, "")
        while clock() < principal.expires_at:
            changed.clear()
            for transition in await repository.orders.list_transitions(order_id, last_version):
                yield transition
                status, last_version = transition.status, transition.version
                if status in FINAL_STATUSES:
                    return
            if status in FINAL_STATUSES:
                return
            remaining_s = (principal.expires_at - clock()).total_seconds()
            try:
                async with asyncio.timeout(min(POLL_INTERVAL_S, remaining_s)):
                    await changed.wait()
            except TimeoutError:
                continue
