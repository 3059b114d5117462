"""What orders can do, each as one function:

- list_banks: where customers can pay
- create_order: a checked basket becomes an order, once
- get_order, list_orders, list_available_deliveries, get_history: who may see it, sees it
- pay_order: a bank's callback is verified, judged, recorded
- report_ready: a partner's word becomes the order's state
- assign_order, complete_order: what deliverers do
- forget_customer: orders are kept without the person
- record_history, record_payment: events become documents
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

import msgspec

from generated.events import OrdersEvent
from generated.problems import Reason
from generated.proto.delivery.events.v1 import OrderAssigned, OrderCreated, OrderDelivered, OrderReady
from generated.rest.delivery.models import PaymentCallback, PaymentStatus
from services.orders import domain, facts
from services.orders.domain import Bank, Basket, HistoryEntry, Order, OrderStatus, Outcome, Payment, PaymentRecord
from services.runtime import paging, webhooks
from services.runtime.clock import Clock
from services.runtime.paging import Page
from services.runtime.principal import Principal
from services.runtime.refusal import Refusal
from services.runtime.vault import Vault
from services.runtime.webhooks import SignedRequest


class Unit(Protocol):
    """One transaction over orders and payments."""

    async def bank(self, bank_id: str) -> Bank | None:
        """The bank, active or not."""

    async def order(self, order_id: str) -> Order | None:
        """The order, locked until the transaction ends."""

    async def order_of_check(self, check_id: str) -> Order | None:
        """The order that a check became."""

    async def add_order(self, order: Order, check_id: str) -> bool:
        """Keeps a new order; False when the check has become one already."""

    async def change_order(self, before: Order, after: Order) -> None:
        """Compare-and-set on status and version. Refuses ORDER_STATE_CONFLICT when another was faster."""

    async def first_callback(self, bank_id: str, webhook_id: str, payment_id: str) -> str:
        """The payment that this callback was first taken for: `payment_id`, unless the id was used before."""

    async def payment(self, bank_id: str, payment_id: str) -> Outcome | None:
        """What came of a payment, if it was taken before; waits for one that is being taken."""

    async def add_payment(self, record: PaymentRecord) -> None:
        """Keeps what came of a payment."""

    async def add_refund(self, refund_id: str, record: PaymentRecord) -> None:
        """Keeps what the bank is to pay back."""

    async def first_event(self, queue: str, event_id: str) -> bool:
        """Whether this event was never consumed before; from now on it was."""

    async def publish(self, event: OrdersEvent) -> None:
        """Lets the event leave when the transaction has committed."""


class Store(Protocol):
    """Where orders are kept."""

    def unit(self) -> AbstractAsyncContextManager[Unit]:
        """Commits at the end of the block, rolls back when it raises."""

    async def order(self, order_id: str) -> Order | None:
        """The order as it stands."""

    async def orders(
        self, size: int, before: tuple[datetime, str] | None, who: Principal, status: OrderStatus | None
    ) -> list[Order]:
        """Newest first: a customer's own, a deliverer's assigned, all for an admin."""

    async def deliveries(self, size: int, after: tuple[datetime, str] | None) -> list[tuple[datetime, Order]]:
        """Ready orders, longest ready first, each with the time since."""

    async def banks(self, size: int, after: str) -> list[Bank]:
        """Active banks, by id."""

    async def forget(self, customer_id: str) -> None:
        """Removes the person from the orders that are over, and from the others once they are."""


class Documents(Protocol):
    """Where history and payments are kept as documents, each written any number of times to the same effect."""

    async def put_history(self, entry: HistoryEntry) -> None:
        """Keyed by order and version."""

    async def put_payment(self, record: PaymentRecord) -> None:
        """Keyed by bank and payment."""

    async def history(self, order_id: str, size: int, after: int) -> list[HistoryEntry]:
        """Oldest first, versions above `after`."""


async def list_banks(store: Store, size: int, token: str) -> Page[Bank]:
    """A page of active banks."""
    after = paging.decode(token, tuple[str]) or ("",)
    return paging.cut(await store.banks(size + 1, after[0]), size, lambda bank: (bank.id,))


async def create_order(
    store: Store, clock: Clock, new_id: Callable[[], str], who: Principal, check_id: str, basket: Basket | None
) -> tuple[Order, Bank]:
    """The order that the check becomes, or became. Refuses CHECK_EXPIRED and BANK_UNAVAILABLE."""
    async with store.unit() as unit:
        order = await unit.order_of_check(check_id)
        if order is None and basket is not None:
            bank = await unit.bank(basket.bank_id)
            if bank is None or not bank.active:
                raise Refusal(Reason.BANK_UNAVAILABLE)
            order = domain.place(new_id(), who.user_id, basket, clock())
            if await unit.add_order(order, check_id):
                await unit.publish(OrderCreated(order=facts.order(order, f"customer:{who.user_id}")))
                return order, bank
            order = await unit.order_of_check(check_id)
        if order is None or order.customer_id != who.user_id:
            raise Refusal(Reason.CHECK_EXPIRED)
        bank = await unit.bank(order.bank_id)
        if bank is None:
            raise Refusal(Reason.BANK_UNAVAILABLE)
        return order, bank


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


async def pay_order(
    store: Store, vault: Vault, clock: Clock, new_id: Callable[[], str], bank_id: str, request: SignedRequest
) -> str:
    """Takes a bank's callback, once, and returns the payment's id.

    Refuses SIGNATURE_INVALID before anything is read; ORDER_NOT_FOUND, PAYMENT_CONFLICT and PAYMENT_INSUFFICIENT after
    the payment is recorded and its refund on the way.
    """
    async with store.unit() as unit:
        bank = await unit.bank(bank_id)
        webhooks.verify(request, [] if bank is None else [vault.unlock(bank.webhook_secret)])
        callback = _callback(request.body)
        payment = Payment(
            bank_id=bank_id,
            payment_id=callback.payment_id,
            order_id=callback.order_id,
            amount=callback.amount,
            currency=callback.currency,
            succeeded=callback.status is PaymentStatus.succeeded,
        )
        first = await unit.first_callback(bank_id, request.id, payment.payment_id)
        outcome = await unit.payment(bank_id, first)
        if outcome is None:
            outcome = await _take(unit, payment, new_id, clock())
    if outcome in domain.REFUSED:
        raise Refusal(domain.REFUSED[outcome])
    return first


def _callback(body: bytes) -> PaymentCallback:
    """Refuses INVALID_REQUEST. To JSON Schema 405.0 is an integer, and so it is here."""
    try:
        return msgspec.convert(msgspec.json.decode(body), PaymentCallback, strict=False)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Refusal(Reason.INVALID_REQUEST) from error


async def _take(unit: Unit, payment: Payment, new_id: Callable[[], str], at: datetime) -> Outcome:
    order = await unit.order(payment.order_id)
    outcome, refund = domain.judge(order, payment)
    record = PaymentRecord(
        bank_id=payment.bank_id,
        payment_id=payment.payment_id,
        order_id=payment.order_id,
        amount=payment.amount,
        currency=payment.currency,
        outcome=outcome,
        refund_amount=refund,
        at=at,
    )
    await unit.add_payment(record)
    await unit.publish(facts.payment(record))
    if order is not None:
        after = domain.apply(order, payment, outcome, refund, at)
        if after != order:
            await unit.change_order(order, after)
        if after.status is not order.status:
            await unit.publish(facts.paid(after, payment))
    if refund:
        refund_id = new_id()
        await unit.add_refund(refund_id, record)
        await unit.publish(facts.refund(refund_id, record))
    if outcome is Outcome.UNKNOWN_ORDER:
        await unit.publish(facts.unknown_order(record))
    return outcome


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
        await unit.change_order(order, after)
        await unit.publish(OrderReady(order=facts.order(after, f"partner:{partner_id}"), pickup_address=pickup_address))


async def assign_order(store: Store, clock: Clock, who: Principal, order_id: str) -> Order:
    """Gives a ready order to the deliverer who asks first. Refuses ORDER_NOT_FOUND, ORDER_STATE_CONFLICT."""
    async with store.unit() as unit:
        order = await unit.order(order_id)
        if order is None:
            raise Refusal(Reason.ORDER_NOT_FOUND)
        after = domain.assign(order, who.user_id, clock())
        if after is not order:
            await unit.change_order(order, after)
            actor = f"deliverer:{who.user_id}"
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
            await unit.change_order(order, after)
            actor = f"deliverer:{who.user_id}"
            await unit.publish(OrderDelivered(order=facts.order(after, actor), deliverer_id=who.user_id))
        return after


async def forget_customer(store: Store, customer_id: str) -> None:
    """An order under way keeps its address until it is over."""
    await store.forget(customer_id)


async def record_history(documents: Documents, entry: HistoryEntry) -> None:
    """Writes what happened, as often as it is told."""
    await documents.put_history(entry)


async def record_payment(documents: Documents, record: PaymentRecord) -> None:
    """Writes a payment's details, as often as they are told."""
    await documents.put_payment(record)
