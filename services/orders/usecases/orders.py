"""An order's way from the checked basket to the door, or to its early end."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from generated.problems import Reason
from generated.proto.delivery.events.v1 import (
    OrderAssigned,
    OrderCancelled,
    OrderCreated,
    OrderDelivered,
    OrderExpired,
    OrderReady,
)
from services.orders import domain, facts, money
from services.orders.domain import Bank, Basket, HistoryEntry, Order, OrderStatus, RefundStatus
from services.orders.usecases.ports import Documents, Store, Unit
from services.runtime import paging
from services.runtime.clock import Clock
from services.runtime.paging import Page
from services.runtime.principal import Principal
from services.runtime.refusal import Refusal

BATCH = 100
"""Orders that one round of expiry looks at."""


async def create_order(
    unit: Unit,
    clock: Clock,
    new_id: Callable[[], str],
    who: Principal,
    check_id: str,
    basket: Basket | None,
    *,
    cache_away: bool = False,
) -> tuple[Order, Bank]:
    """The order that the check becomes, or became. Refuses CHECK_EXPIRED and BANK_UNAVAILABLE.

    Refuses UPSTREAM_UNAVAILABLE when the cache is away and the check has become no order, since it still may.
    """
    wanted = None if basket is None else await unit.bank(basket.bank_id)
    if basket is not None and wanted is not None and wanted.active:
        order = domain.place(new_id(), who.user_id, basket, clock())
        actor = f"customer:{who.user_id}"
        if await unit.add_order(order, check_id, actor):
            await unit.publish(OrderCreated(order=facts.order(order, actor)))
            return order, wanted
    became = await unit.order_of_check(check_id)
    if became is None and basket is not None:
        raise Refusal(Reason.BANK_UNAVAILABLE)
    if became is None and cache_away:
        raise Refusal(Reason.UPSTREAM_UNAVAILABLE, "The cache is away.", retry_after=1)
    if became is None or became.customer_id != who.user_id:
        raise Refusal(Reason.CHECK_EXPIRED)
    bank = await unit.bank(became.bank_id)
    if bank is None:
        raise Refusal(Reason.BANK_UNAVAILABLE)
    return became, bank


async def get_order(store: Store, who: Principal, order_id: str) -> Order:
    """The order, for whom it exists. Refuses ORDER_NOT_FOUND."""
    order = await store.order(order_id)
    if order is None or not domain.visible(order, who.user_id, who.role):
        raise Refusal(Reason.ORDER_NOT_FOUND)
    return order


async def list_orders(store: Store, who: Principal, size: int, token: str, status: OrderStatus | None) -> Page[Order]:
    """A page of the orders that exist for the user, newest first."""
    before = paging.decode(token, tuple[datetime, str])
    rows = await store.orders(size + 1, before, who, status)
    return paging.cut(rows, size, lambda order: (order.created_at.isoformat(), order.id))


async def list_available_deliveries(store: Store, size: int, token: str) -> Page[Order]:
    """A page of the orders that wait for a deliverer, longest ready first."""
    after = paging.decode(token, tuple[datetime, str])
    rows = await store.deliveries(size + 1, after)
    page = paging.cut(rows, size, lambda row: (row[0].isoformat(), row[1].id))
    return Page([order for _, order in page.items], page.next_page_token)


async def get_history(
    store: Store, documents: Documents, who: Principal, order_id: str, size: int, token: str
) -> Page[HistoryEntry]:
    """A page of what happened to an order, for whom it exists. Refuses ORDER_NOT_FOUND."""
    await get_order(store, who, order_id)
    after = paging.decode(token, tuple[int]) or (0,)
    entries = await documents.history(order_id, size + 1, after[0])
    return paging.cut(entries, size, lambda entry: (entry.version,))


async def cancel_order(store: Store, clock: Clock, who: Principal, order_id: str, reason: str | None) -> Order:
    """Gives an order up, and what was paid for it back. Refuses ORDER_NOT_FOUND, ORDER_STATE_CONFLICT."""
    async with store.unit() as unit:
        order = await unit.order(order_id)
        if order is None:
            raise Refusal(Reason.ORDER_NOT_FOUND)
        after = domain.cancel(order, who.user_id, who.role, reason, clock())
        actor = f"{'admin' if who.role == 'admin' else 'customer'}:{who.user_id}"
        return await _give_up(unit, order, after, actor)


async def _give_up(unit: Unit, before: Order, after: Order, actor: str) -> Order:
    refund = money.of_cancelled(before, after.updated_at)
    if refund is not None:
        after = replace(after, refund_status=RefundStatus.REQUESTED)
        await unit.add_refund(refund)
    await unit.change_order(before, after, actor, after.cancel_reason)
    await unit.publish(OrderCancelled(order=facts.order(after, actor), reason=after.cancel_reason))
    if refund is not None:
        await unit.publish(facts.refund_requested(refund))
    return after


async def expire_orders(store: Store, clock: Clock, life: timedelta) -> int:
    """Ends orders that nobody has paid in time, some at once; returns how many. Several may do so at the same time."""
    async with store.unit() as unit:
        now = clock()
        orders = await unit.unpaid(now - life, BATCH)
        for order in orders:
            after = domain.expire(order, now)
            await unit.change_order(order, after, "system")
            await unit.publish(OrderExpired(order=facts.order(after, "system")))
        return len(orders)


async def report_ready(
    store: Store, clock: Clock, queue: str, event_id: str, order_id: str, partner_id: int, pickup_address: str
) -> None:
    """A partner says an order is ready. Without effect unless the order is paid and that partner's."""
    async with store.unit() as unit:
        if not await unit.first_event(queue, event_id):
            return
        order = await unit.order(order_id)
        if order is None or order.partner.id != partner_id or order.status is not OrderStatus.PAID:
            return
        after = domain.ready(order, pickup_address, clock())
        actor = f"partner:{partner_id}"
        await unit.change_order(order, after, actor)
        await unit.publish(OrderReady(order=facts.order(after, actor), pickup_address=pickup_address))


async def partner_told(store: Store, order_id: str, partner_id: int, at: datetime) -> None:
    """The partner has taken the order; the first time counts, in whatever order and however often it is said."""
    await store.partner_told(order_id, partner_id, at)


async def partner_unreachable(
    store: Store,
    clock: Clock,
    queue: str,
    event_id: str,
    order_id: str,
    partner_id: int,
    reason: str,
) -> None:
    """No try has reached the partner: the order is given up and paid back. Without effect unless it waits for that."""
    async with store.unit() as unit:
        if not await unit.first_event(queue, event_id):
            return
        order = await unit.order(order_id)
        if order is None or order.partner.id != partner_id or order.status is not OrderStatus.PAID:
            return
        after = domain.unreachable(order, reason, clock())
        await _give_up(unit, order, after, "system")


async def assign_order(store: Store, clock: Clock, who: Principal, order_id: str) -> Order:
    """Gives a ready order to the deliverer who asks first. Refuses ORDER_NOT_FOUND, ORDER_STATE_CONFLICT."""
    async with store.unit() as unit:
        order = await unit.order(order_id)
        if order is None:
            raise Refusal(Reason.ORDER_NOT_FOUND)
        after = domain.assign(order, who.user_id, clock())
        if after is not order:
            actor = f"deliverer:{who.user_id}"
            await unit.change_order(order, after, actor)
            await unit.publish(OrderAssigned(order=facts.order(after, actor), deliverer_id=who.user_id))
        return after


async def complete_order(store: Store, clock: Clock, who: Principal, order_id: str) -> Order:
    """Ends a delivery. Refuses ORDER_NOT_FOUND to all but the order's deliverer, and ORDER_STATE_CONFLICT."""
    async with store.unit() as unit:
        order = await unit.order(order_id)
        if order is None:
            raise Refusal(Reason.ORDER_NOT_FOUND)
        after = domain.complete(order, who.user_id, clock())
        if after is not order:
            actor = f"deliverer:{who.user_id}"
            await unit.change_order(order, after, actor)
            await unit.publish(OrderDelivered(order=facts.order(after, actor), deliverer_id=who.user_id))
        return after


async def forget_customer(store: Store, customer_id: str) -> None:
    """An order under way keeps its address until it is over."""
    await store.forget(customer_id)


async def record_history(documents: Documents, entry: HistoryEntry) -> None:
    """Writes what happened, as often as it is told."""
    await documents.put_history(entry)
