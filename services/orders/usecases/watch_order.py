"""Following an order as it changes, without a gap."""

import asyncio
from collections.abc import AsyncGenerator

from services.orders.domain.orders import FINAL_STATUSES, HistoryEntry
from services.orders.usecases.orders import get_order
from services.orders.usecases.ports import OrderChangeListener, Repository
from services.runtime.core.clock import Clock
from services.runtime.core.principal import Principal

POLL_INTERVAL_S = 5.0
"""Seconds between looks at an order that nothing is heard of, since a word of its change may have been lost."""


async def watch_order(
    repository: Repository,
    change_listener: OrderChangeListener,
    clock: Clock,
    principal: Principal,
    order_id: str,
    after_version: int | None,
) -> AsyncGenerator[HistoryEntry]:
    """Where the order stands, then every change, until its life or the token is over. Refuses ORDER_NOT_FOUND.

    `after` is the last version that was seen: every change since is told. What is no version of the
    order counts for none.
    """
    with change_listener.subscribe(order_id) as changed:
        order = await get_order(repository, principal, order_id)
        status, last = order.status, order.version
        if after_version is not None and 0 < after_version <= order.version:
            last = after_version
        else:
            yield HistoryEntry(order.id, order.version, order.status, order.updated_at, "")
        while clock() < principal.expires_at:
            changed.clear()
            for step in await repository.list_transitions(order_id, last):
                yield step
                status, last = step.status, step.version
                if status in FINAL_STATUSES:
                    return
            if status in FINAL_STATUSES:
                return
            left = (principal.expires_at - clock()).total_seconds()
            try:
                async with asyncio.timeout(min(POLL_INTERVAL_S, left)):
                    await changed.wait()
            except TimeoutError:
                continue
