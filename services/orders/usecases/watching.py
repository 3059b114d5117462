"""Following an order as it changes, without a gap."""

import asyncio
from collections.abc import AsyncGenerator

from services.orders.domain import FINAL, HistoryEntry
from services.orders.usecases.orders import get_order
from services.orders.usecases.ports import Changes, Store
from services.runtime.clock import Clock
from services.runtime.principal import Principal

SWEEP = 5.0
"""Seconds between looks at an order that nothing is heard of, since a word of its change may have been lost."""


async def watch_order(
    store: Store, changes: Changes, clock: Clock, who: Principal, order_id: str, after: int | None
) -> AsyncGenerator[HistoryEntry]:
    """Where the order stands, then every change, until its life or the token is over. Refuses ORDER_NOT_FOUND.

    `after` is the last version that was seen: every change since is told. What is no version of the
    order counts for none.
    """
    with changes.of(order_id) as changed:
        order = await get_order(store, who, order_id)
        status, last = order.status, order.version
        if after is not None and 0 < after <= order.version:
            last = after
        else:
            yield HistoryEntry(order.id, order.version, order.status, order.updated_at, "")
        while clock() < who.expires_at:
            changed.clear()
            for step in await store.steps(order_id, last):
                yield step
                status, last = step.status, step.version
                if status in FINAL:
                    return
            if status in FINAL:
                return
            left = (who.expires_at - clock()).total_seconds()
            try:
                async with asyncio.timeout(min(SWEEP, left)):
                    await changed.wait()
            except TimeoutError:
                continue
