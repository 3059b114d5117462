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
from services.orders.domain import orders as order_rules
from services.orders.domain import payments as payment_rules
from services.orders.domain.orders import Bank, Basket, HistoryEntry, Order, OrderStatus, RefundStatus
from services.orders.usecases import event_factory
from services.orders.usecases.ports import HistoryRepository, Repository, UnitOfWork
from services.runtime.core import pagination
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError
from services.runtime.core.pagination import Page
from services.runtime.core.principal import Principal

BATCH_SIZE = 100
"""Orders that one round of expiry looks at."""


async def create_order(
    unit: UnitOfWork,
    clock: Clock,
    new_id: Callable[[], str],
    principal: Principal,
    check_id: str,
    basket: Basket | None,
    *,
    cache_unavailable: bool = False,
) -> tuple[Order, Bank]:
    """The order that the check becomes, or became. Refuses CHECK_EXPIRED and BANK_UNAVAILABLE.

    Refuses UPSTREAM_UNAVAILABLE when the cache is away and the check has become no order, since it still may.
    """
    wanted = None if basket is None else await unit.get_bank(basket.bank_id)
    if basket is not None and wanted is not None and wanted.active:
        order = order_rules.create_order(new_id(), principal.user_id, basket, clock())
        actor = f"customer:{principal.user_id}"
        if await unit.add_order(order, check_id, actor):
            await unit.publish(OrderCreated(order=event_factory.build_order_snapshot(order, actor)))
            return order, wanted
    became = await unit.find_order_by_check(check_id)
    if became is None and basket is not None:
        raise ApiError(Reason.BANK_UNAVAILABLE)
    if became is None and cache_unavailable:
        raise ApiError(Reason.UPSTREAM_UNAVAILABLE, "The cache is away.", retry_after=1)
    if became is None or became.customer_id != principal.user_id:
        raise ApiError(Reason.CHECK_EXPIRED)
    bank = await unit.get_bank(became.bank_id)
    if bank is None:
        raise ApiError(Reason.BANK_UNAVAILABLE)
    return became, bank


async def get_order(repository: Repository, principal: Principal, order_id: str) -> Order:
    """The order, for whom it exists. Refuses ORDER_NOT_FOUND."""
    order = await repository.get_order(order_id)
    if order is None or not order_rules.is_visible_to(order, principal.user_id, principal.role):
        raise ApiError(Reason.ORDER_NOT_FOUND)
    return order


async def list_orders(
    repository: Repository, principal: Principal, page_size: int, page_token: str, status: OrderStatus | None
) -> Page[Order]:
    """A page of the orders that exist for the user, newest first."""
    before = pagination.decode_page_token(page_token, tuple[datetime, str])
    rows = await repository.list_orders(page_size + 1, before, principal, status)
    return pagination.build_page(rows, page_size, lambda order: (order.created_at.isoformat(), order.id))


async def list_available_deliveries(repository: Repository, page_size: int, page_token: str) -> Page[Order]:
    """A page of the orders that wait for a deliverer, longest ready first."""
    after = pagination.decode_page_token(page_token, tuple[datetime, str])
    rows = await repository.list_available_deliveries(page_size + 1, after)
    page = pagination.build_page(rows, page_size, lambda row: (row[0].isoformat(), row[1].id))
    return Page([order for _, order in page.items], page.next_page_token)


async def get_history(
    repository: Repository,
    history: HistoryRepository,
    principal: Principal,
    order_id: str,
    page_size: int,
    page_token: str,
) -> Page[HistoryEntry]:
    """A page of what happened to an order, for whom it exists. Refuses ORDER_NOT_FOUND."""
    await get_order(repository, principal, order_id)
    after = pagination.decode_page_token(page_token, tuple[int]) or (0,)
    entries = await history.list_history(order_id, page_size + 1, after[0])
    return pagination.build_page(entries, page_size, lambda entry: (entry.version,))


async def cancel_order(
    repository: Repository, clock: Clock, principal: Principal, order_id: str, reason: str | None
) -> Order:
    """Gives an order up, and what was paid for it back. Refuses ORDER_NOT_FOUND, ORDER_STATE_CONFLICT."""
    async with repository.unit_of_work() as unit:
        order = await unit.get_order_for_update(order_id)
        if order is None:
            raise ApiError(Reason.ORDER_NOT_FOUND)
        after = order_rules.cancel(order, principal.user_id, principal.role, reason, clock())
        actor = f"{'admin' if principal.role == 'admin' else 'customer'}:{principal.user_id}"
        return await _cancel_and_refund(unit, order, after, actor)


async def _cancel_and_refund(unit: UnitOfWork, before: Order, after: Order, actor: str) -> Order:
    refund = payment_rules.create_cancellation_refund(before, after.updated_at)
    if refund is not None:
        after = replace(after, refund_status=RefundStatus.REQUESTED)
        await unit.add_refund(refund)
    await unit.update_order(before, after, actor, after.cancel_reason)
    await unit.publish(
        OrderCancelled(order=event_factory.build_order_snapshot(after, actor), reason=after.cancel_reason)
    )
    if refund is not None:
        await unit.publish(event_factory.build_refund_requested(refund))
    return after


async def expire_orders(repository: Repository, clock: Clock, payment_timeout: timedelta) -> int:
    """Ends orders that nobody has paid in time, some at once; returns how many. Several may do so at the same time."""
    async with repository.unit_of_work() as unit:
        now = clock()
        orders = await unit.get_unpaid_orders_for_update(now - payment_timeout, BATCH_SIZE)
        for order in orders:
            after = order_rules.expire(order, now)
            await unit.update_order(order, after, "system")
            await unit.publish(OrderExpired(order=event_factory.build_order_snapshot(after, "system")))
        return len(orders)


async def mark_order_ready(
    repository: Repository, clock: Clock, queue: str, event_id: str, order_id: str, partner_id: int, pickup_address: str
) -> None:
    """A partner says an order is ready. Without effect unless the order is paid and that partner's."""
    async with repository.unit_of_work() as unit:
        if not await unit.mark_event_processed(queue, event_id):
            return
        order = await unit.get_order_for_update(order_id)
        if order is None or order.partner.id != partner_id or order.status is not OrderStatus.PAID:
            return
        after = order_rules.mark_ready(order, pickup_address, clock())
        actor = f"partner:{partner_id}"
        await unit.update_order(order, after, actor)
        await unit.publish(
            OrderReady(order=event_factory.build_order_snapshot(after, actor), pickup_address=pickup_address)
        )


async def record_partner_notified(repository: Repository, order_id: str, partner_id: int, at: datetime) -> None:
    """The partner has taken the order; the first time counts, in whatever order and however often it is said."""
    await repository.record_partner_notified(order_id, partner_id, at)


async def cancel_order_for_unreachable_partner(
    repository: Repository,
    clock: Clock,
    queue: str,
    event_id: str,
    order_id: str,
    partner_id: int,
    reason: str,
) -> None:
    """No try has reached the partner: the order is given up and paid back. Without effect unless it waits for that."""
    async with repository.unit_of_work() as unit:
        if not await unit.mark_event_processed(queue, event_id):
            return
        order = await unit.get_order_for_update(order_id)
        if order is None or order.partner.id != partner_id or order.status is not OrderStatus.PAID:
            return
        after = order_rules.cancel_for_unreachable_partner(order, reason, clock())
        await _cancel_and_refund(unit, order, after, "system")


async def assign_order(repository: Repository, clock: Clock, principal: Principal, order_id: str) -> Order:
    """Gives a ready order to the deliverer who asks first. Refuses ORDER_NOT_FOUND, ORDER_STATE_CONFLICT."""
    async with repository.unit_of_work() as unit:
        order = await unit.get_order_for_update(order_id)
        if order is None:
            raise ApiError(Reason.ORDER_NOT_FOUND)
        after = order_rules.assign(order, principal.user_id, clock())
        if after is not order:
            actor = f"deliverer:{principal.user_id}"
            await unit.update_order(order, after, actor)
            await unit.publish(
                OrderAssigned(order=event_factory.build_order_snapshot(after, actor), deliverer_id=principal.user_id)
            )
        return after


async def complete_order(repository: Repository, clock: Clock, principal: Principal, order_id: str) -> Order:
    """Ends a delivery. Refuses ORDER_NOT_FOUND to all but the order's deliverer, and ORDER_STATE_CONFLICT."""
    async with repository.unit_of_work() as unit:
        order = await unit.get_order_for_update(order_id)
        if order is None:
            raise ApiError(Reason.ORDER_NOT_FOUND)
        after = order_rules.complete(order, principal.user_id, clock())
        if after is not order:
            actor = f"deliverer:{principal.user_id}"
            await unit.update_order(order, after, actor)
            await unit.publish(
                OrderDelivered(order=event_factory.build_order_snapshot(after, actor), deliverer_id=principal.user_id)
            )
        return after


async def anonymise_customer(repository: Repository, customer_id: str) -> None:
    """An order under way keeps its address until it is over."""
    await repository.anonymise_customer(customer_id)


async def record_history(history: HistoryRepository, entry: HistoryEntry) -> None:
    """Writes what happened, as often as it is told."""
    await history.save_history_entry(entry)
