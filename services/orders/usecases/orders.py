"""Orders from the checked basket to delivery, cancellation or expiry."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

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
from services.orders.domain.orders import Bank, Basket, HistoryEntry, Order, OrderStatus, RefundStatus
from services.orders.domain.payments import create_cancellation_refund
from services.orders.usecases.event_factory import build_order_snapshot, build_refund_requested
from services.orders.usecases.ports import HistoryRepository, Repository, UnitOfWork
from services.runtime.core import pagination
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError
from services.runtime.core.idempotency import IdempotencyKey, IdempotentResponse
from services.runtime.core.pagination import Page
from services.runtime.core.principal import Principal

BATCH_SIZE = 100
"""Orders that one transaction expires."""


class OrderRequest(NamedTuple):
    """Request to create the order of a check.

    `basket` is None when the cache does not contain the check, or when partners gave a reason for its `rejection`.
    """

    check_id: str
    basket: Basket | None
    is_cache_unavailable: bool = False
    rejection: Reason | None = None


async def create_order(
    repository: Repository,
    clock: Clock,
    derive_id: Callable[[str], str],
    principal: Principal,
    request: OrderRequest,
    key: IdempotencyKey | None,
    encode: Callable[[Order, Bank], bytes],
) -> IdempotentResponse:
    """Create the order of a check, once per check and per idempotency key; return the encoded response.

    `derive_id` returns the id of the order of a check, so that the primary key also prevents a second order. `encode`
    is called with the order and its bank. A check that has already become an order returns that order. If the cache is
    unavailable and no order exists, the error is UPSTREAM_UNAVAILABLE instead of CHECK_EXPIRED, since the check may
    still be valid. If the basket was rejected, the error is that of the rejection.

    Raises ApiError: the rejection, BANK_UNAVAILABLE, CHECK_EXPIRED, UPSTREAM_UNAVAILABLE, IDEMPOTENCY_KEY_REUSED,
    IDEMPOTENCY_KEY_BUSY.
    """

    async def create(unit: UnitOfWork) -> bytes:
        return encode(*await _create_or_find_order(unit, clock, derive_id, principal, request))

    return await repository.run_idempotently(key, create)


async def _create_or_find_order(
    unit: UnitOfWork, clock: Clock, derive_id: Callable[[str], str], principal: Principal, request: OrderRequest
) -> tuple[Order, Bank]:
    basket = None if request.rejection else request.basket
    bank = None if basket is None else await unit.banks.get(basket.bank_id)
    if basket is not None and bank is not None and bank.active:
        order = order_rules.create_order(derive_id(request.check_id), principal.user_id, basket, clock())
        actor = f"customer:{principal.user_id}"
        if await unit.orders.add(order, request.check_id, actor):
            await unit.publish(OrderCreated(order=build_order_snapshot(order, actor)))
            return order, bank
    existing = await unit.orders.find_by_check(request.check_id)
    if existing is None and basket is not None:
        raise ApiError(Reason.BANK_UNAVAILABLE)
    if existing is None and request.rejection is not None:
        retry_after = 1 if request.rejection is Reason.UPSTREAM_UNAVAILABLE else None
        raise ApiError(request.rejection, retry_after=retry_after)
    if existing is None and request.is_cache_unavailable:
        raise ApiError(Reason.UPSTREAM_UNAVAILABLE, "The cache is unavailable.", retry_after=1)
    if existing is None or existing.customer_id != principal.user_id:
        raise ApiError(Reason.CHECK_EXPIRED)
    bank = await unit.banks.get(existing.bank_id)
    if bank is None:
        raise ApiError(Reason.BANK_UNAVAILABLE)
    return existing, bank


async def get_order(repository: Repository, principal: Principal, order_id: str) -> Order:
    """Return an order that is visible to the caller.

    Raises ApiError: ORDER_NOT_FOUND.
    """
    order = await repository.orders.get(order_id)
    if order is None or not order_rules.is_visible_to(order, principal.user_id, principal.role):
        raise ApiError(Reason.ORDER_NOT_FOUND)
    return order


async def list_orders(
    repository: Repository, principal: Principal, page_size: int, page_token: str, status: OrderStatus | None
) -> Page[Order]:
    """Return a page of the orders that the caller's role may list, newest first."""
    before = pagination.decode_page_token(page_token, tuple[datetime, str])
    orders = await repository.orders.list_visible(principal, before, page_size + 1, status)
    return pagination.build_page(orders, page_size, lambda order: (order.created_at.isoformat(), order.id))


async def list_available_deliveries(repository: Repository, page_size: int, page_token: str) -> Page[Order]:
    """Return a page of the orders that are ready for pickup, longest ready first."""
    after = pagination.decode_page_token(page_token, tuple[datetime, str])
    rows = await repository.orders.list_available_deliveries(after, page_size + 1)
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
    """Return a page of the history of an order that is visible to the caller, oldest first.

    Raises ApiError: ORDER_NOT_FOUND.
    """
    await get_order(repository, principal, order_id)
    after = pagination.decode_page_token(page_token, tuple[int]) or (0,)
    entries = await history.list_history(order_id, page_size + 1, after[0])
    return pagination.build_page(entries, page_size, lambda entry: (entry.version,))


async def cancel_order(
    repository: Repository, clock: Clock, principal: Principal, order_id: str, reason: str | None
) -> Order:
    """Cancel an order and refund its payment.

    Raises ApiError: ORDER_NOT_FOUND, ORDER_STATE_CONFLICT.
    """
    async with repository.unit_of_work() as unit:
        order = await _lock_order(unit, order_id)
        after = order_rules.cancel(order, principal.user_id, principal.role, reason, clock())
        actor = f"{'admin' if principal.role == 'admin' else 'customer'}:{principal.user_id}"
        return await _cancel_and_refund(unit, order, after, actor)


async def _lock_order(unit: UnitOfWork, order_id: str) -> Order:
    order = await unit.orders.get_for_update(order_id)
    if order is None:
        raise ApiError(Reason.ORDER_NOT_FOUND)
    return order


async def _cancel_and_refund(unit: UnitOfWork, before: Order, after: Order, actor: str) -> Order:
    refund = create_cancellation_refund(before, after.updated_at)
    if refund is not None:
        after = replace(after, refund_status=RefundStatus.REQUESTED)
        await unit.refunds.add(refund)
    await unit.orders.update(before, after, actor, after.cancel_reason)
    await unit.publish(OrderCancelled(order=build_order_snapshot(after, actor), reason=after.cancel_reason))
    if refund is not None:
        await unit.publish(build_refund_requested(refund))
    return after


async def expire_orders(repository: Repository, clock: Clock, payment_timeout: timedelta) -> int:
    """Expire a batch of unpaid orders and return its size. Several processes may do this concurrently."""
    async with repository.unit_of_work() as unit:
        now = clock()
        orders = await unit.orders.list_unpaid_for_update(now - payment_timeout, BATCH_SIZE)
        for order in orders:
            after = order_rules.expire(order, now)
            await unit.orders.update(order, after, "system")
            await unit.publish(OrderExpired(order=build_order_snapshot(after, "system")))
        return len(orders)


async def mark_order_ready(
    repository: Repository, clock: Clock, queue: str, event_id: str, order_id: str, partner_id: int, pickup_address: str
) -> None:
    """Mark an order as ready, once per event. No effect unless the order is paid and belongs to the partner."""

    async def mark_ready(unit: UnitOfWork) -> None:
        order = await unit.orders.get_for_update(order_id)
        if not await unit.mark_event_processed(queue, event_id):
            return
        if order is None or order.partner.id != partner_id or order.status is not OrderStatus.PAID:
            unit.require_locks()
            return
        after = order_rules.mark_ready(order, pickup_address, clock())
        actor = f"partner:{partner_id}"
        await unit.orders.update(order, after, actor)
        await unit.publish(OrderReady(order=build_order_snapshot(after, actor), pickup_address=pickup_address))

    await repository.run_optimistically(mark_ready)


async def record_partner_notified(repository: Repository, order_id: str, partner_id: int, at: datetime) -> None:
    """Record when the partner acknowledged the order. The earliest time wins, so order and repeats do not matter."""
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
    """Cancel and refund an order whose partner could not be reached, once per event.

    No effect unless the order is paid and belongs to the partner.
    """
    async with repository.unit_of_work() as unit:
        if not await unit.mark_event_processed(queue, event_id):
            return
        order = await unit.orders.get_for_update(order_id)
        if order is None or order.partner.id != partner_id or order.status is not OrderStatus.PAID:
            return
        after = order_rules.cancel_for_unreachable_partner(order, reason, clock())
        await _cancel_and_refund(unit, order, after, "system")


async def assign_order(repository: Repository, clock: Clock, principal: Principal, order_id: str) -> Order:
    """Assign a ready order to the calling deliverer. The first caller wins; repeated calls are idempotent.

    Raises ApiError: ORDER_NOT_FOUND, ORDER_STATE_CONFLICT.
    """

    async def assign(unit: UnitOfWork) -> Order:
        order = await _lock_order(unit, order_id)
        after = order_rules.assign(order, principal.user_id, clock())
        if after is not order:
            actor = f"deliverer:{principal.user_id}"
            await unit.orders.update(order, after, actor)
            await unit.publish(OrderAssigned(order=build_order_snapshot(after, actor), deliverer_id=principal.user_id))
        return after

    return await repository.run_optimistically(assign)


async def complete_order(repository: Repository, clock: Clock, principal: Principal, order_id: str) -> Order:
    """Mark an order as delivered. ORDER_NOT_FOUND is also the response to any caller but the order's deliverer.

    Raises ApiError: ORDER_NOT_FOUND, ORDER_STATE_CONFLICT.
    """

    async def complete(unit: UnitOfWork) -> Order:
        order = await _lock_order(unit, order_id)
        after = order_rules.complete(order, principal.user_id, clock())
        if after is not order:
            actor = f"deliverer:{principal.user_id}"
            await unit.orders.update(order, after, actor)
            await unit.positions.delete(order_id)
            await unit.publish(OrderDelivered(order=build_order_snapshot(after, actor), deliverer_id=principal.user_id))
        return after

    delivered = await repository.run_optimistically(complete)
    # The completion waits for a concurrent report of the position, but does not see its row; after the commit it is
    # visible. A repeated completion deletes it too, in case this statement failed.
    async with repository.unit_of_work() as unit:
        await unit.positions.delete(order_id)
    return delivered


async def anonymise_customer(repository: Repository, customer_id: str) -> None:
    """Remove a customer's personal data from final orders now, and from other orders once they become final."""
    # The second transaction finds the orders that became final before the commit of the first.
    for _ in range(2):
        async with repository.unit_of_work() as unit:
            await unit.orders.anonymise_customer(customer_id)


async def record_history(history: HistoryRepository, entry: HistoryEntry) -> None:
    """Save a history entry in the document store. Idempotent."""
    await history.save_history_entry(entry)
