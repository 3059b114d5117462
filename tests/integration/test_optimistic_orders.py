"""Operations of orders without locks on real servers: their statements, and conflicts with concurrent changes.

services.runtime.core.unit_of_work defines what a unit of work without locks is.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from generated.problems import Reason
from services.orders import usecases
from services.orders.adapters.postgres.orders import PostgresOrderRepository
from services.orders.adapters.postgres.payments import PostgresPaymentRepository
from services.orders.domain.addresses import DelivererPosition
from services.orders.domain.orders import Order, OrderStatus
from services.orders.domain.payments import PaymentRecord
from services.orders.usecases import OrderRequest
from services.runtime.core.clock import now
from services.runtime.core.errors import ApiError
from services.runtime.core.idempotency import IdempotencyKey, IdempotentResponse
from services.runtime.core.ids import derive_id, generate_id
from services.runtime.core.principal import Principal
from services.runtime.storage.transactions.transaction import Transaction
from tests.integration.fixtures.orders import ADA, BASKET, Orders
from tests.wait import wait_until_async

DELIVERER = Principal("bob", "deliverer", "", True, now())


async def mark_ready(orders: Orders, order_id: str, event_id: str | None = None) -> None:
    event_id = event_id or generate_id()
    await usecases.mark_order_ready(
        orders.repository, now, "orders.readiness", event_id, order_id, 1, "1 Market Square"
    )


@pytest.fixture
def transactions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """List of the transactions that begin, one element each."""
    begun: list[str] = []
    begin = Transaction.begin

    async def record(self: Transaction) -> None:
        await begin(self)
        if self._is_begun:
            begun.append("begin")

    monkeypatch.setattr(Transaction, "begin", record)
    return begun


async def test_life_of_an_order_begins_no_transaction(orders: Orders, transactions: list[str]) -> None:
    order_id = await orders.place_order()
    await orders.pay(order_id)
    await mark_ready(orders, order_id)
    await usecases.assign_order(orders.repository, now, DELIVERER, order_id)
    await usecases.complete_order(orders.repository, now, DELIVERER, order_id)
    assert transactions == []
    assert (await orders.get_order(order_id)).status is OrderStatus.DELIVERED
    transitions = await orders.repository.orders.list_transitions(order_id, 0)
    assert [(each.version, each.status) for each in transitions] == [
        (1, OrderStatus.PENDING),
        (2, OrderStatus.PAID),
        (3, OrderStatus.READY),
        (4, OrderStatus.DELIVERING),
        (5, OrderStatus.DELIVERED),
    ]


async def test_confirmation_with_key_begins_no_transaction(orders: Orders, transactions: list[str]) -> None:
    key, request = IdempotencyKey("ada", "confirmOrder", generate_id(), b"request"), OrderRequest(generate_id(), BASKET)
    response = await usecases.create_order(
        orders.repository, now, derive_id, ADA, request, key, lambda order, _: order.id.encode()
    )
    assert transactions == []
    assert response == IdempotentResponse(derive_id(request.check_id).encode())
    rows = await orders.execute_sql("SELECT response FROM idempotency_keys WHERE key = %(key)s", key=key.key)
    assert [bytes(row["response"]) for row in rows] == [response.data]


@pytest.fixture
def change_after_read(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Awaitable[object]]], None]:
    """Run a change after an order has been read without locks, once."""

    def install(change: Callable[[], Awaitable[object]]) -> None:
        get_for_update = PostgresOrderRepository.get_for_update

        async def get_and_change(self: PostgresOrderRepository, order_id: str) -> Order | None:
            order = await get_for_update(self, order_id)
            if self._transaction.is_optimistic:
                monkeypatch.undo()
                await change()
            return order

        monkeypatch.setattr(PostgresOrderRepository, "get_for_update", get_and_change)

    return install


async def test_assignment_after_a_concurrent_cancellation_is_rejected(
    orders: Orders, change_after_read: Callable[[Callable[[], Awaitable[object]]], None]
) -> None:
    order_id = await orders.place_order()
    await orders.pay(order_id)
    await mark_ready(orders, order_id)
    admin = replace(ADA, role="admin")
    change_after_read(lambda: usecases.cancel_order(orders.repository, now, admin, order_id, None))
    with pytest.raises(ApiError) as raised:
        await usecases.assign_order(orders.repository, now, DELIVERER, order_id)
    assert raised.value.reason is Reason.ORDER_STATE_CONFLICT
    assert raised.value.members == {"order_status": "cancelled"}
    assert len(await orders.repository.orders.list_transitions(order_id, 0)) == 4


async def test_payment_after_a_concurrent_cancellation_is_refunded(
    orders: Orders, change_after_read: Callable[[Callable[[], Awaitable[object]]], None]
) -> None:
    order_id = await orders.place_order()
    change_after_read(lambda: usecases.cancel_order(orders.repository, now, ADA, order_id, None))
    with pytest.raises(ApiError) as raised:
        await orders.pay(order_id)
    assert raised.value.reason is Reason.PAYMENT_CONFLICT
    refunds = await orders.execute_sql("SELECT amount FROM refunds WHERE order_id = %(id)s", id=order_id)
    assert refunds == [{"amount": 200}]


async def test_payment_after_its_concurrent_duplicate_changes_nothing(
    orders: Orders, change_after_read: Callable[[Callable[[], Awaitable[object]]], None]
) -> None:
    order_id = await orders.place_order()
    callback = {"webhook_id": generate_id(), "payment_id": generate_id()}
    change_after_read(lambda: orders.pay(order_id, **callback))
    assert await orders.pay(order_id, **callback) == callback["payment_id"]
    assert len(await orders.repository.orders.list_transitions(order_id, 0)) == 2


async def test_one_payment_of_two_orders_pays_one_of_them(orders: Orders) -> None:
    order_ids = [await orders.place_order() for _ in range(2)]
    payment_id = generate_id()
    results = await asyncio.gather(
        *(orders.pay(order_id, payment_id=payment_id) for order_id in order_ids), return_exceptions=True
    )
    assert [each for each in results if isinstance(each, str)] == [payment_id]
    (error,) = (each for each in results if isinstance(each, ApiError))
    assert error.reason is Reason.PAYMENT_ID_REUSED
    statuses = [(await orders.get_order(order_id)).status for order_id in order_ids]
    assert sorted(statuses) == [OrderStatus.PAID, OrderStatus.PENDING]


@pytest.fixture
def change_after_read_of_payment(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Awaitable[object]]], None]:
    """Run a change after a payment has been read with locks and was not found, once."""

    def install(change: Callable[[], Awaitable[object]]) -> None:
        get_locked = PostgresPaymentRepository.get_locked

        async def get_and_change(
            self: PostgresPaymentRepository, bank_id: str, payment_id: str
        ) -> PaymentRecord | None:
            payment = await get_locked(self, bank_id, payment_id)
            if payment is None and not self._transaction.is_optimistic:
                monkeypatch.undo()
                await change()
            return payment

        monkeypatch.setattr(PostgresPaymentRepository, "get_locked", get_and_change)

    return install


async def test_failure_does_not_replace_a_concurrent_success(
    orders: Orders, change_after_read_of_payment: Callable[[Callable[[], Awaitable[object]]], None]
) -> None:
    order_id, payment_id = await orders.place_order(), generate_id()
    change_after_read_of_payment(lambda: orders.pay(order_id, payment_id=payment_id))
    with pytest.raises(ApiError) as raised:
        await orders.pay(order_id, payment_id=payment_id, status="failed")
    assert raised.value.reason is Reason.UPSTREAM_UNAVAILABLE
    await orders.pay(order_id, payment_id=payment_id)
    rows = await orders.execute_sql("SELECT outcome FROM payments WHERE payment_id = %(id)s", id=payment_id)
    assert rows == [{"outcome": "paid"}]
    assert await orders.execute_sql("SELECT 1 FROM refunds WHERE order_id = %(id)s", id=order_id) == []


async def test_excess_payment_does_not_replace_one_of_another_order(
    orders: Orders, change_after_read_of_payment: Callable[[Callable[[], Awaitable[object]]], None]
) -> None:
    paid_id, order_id, payment_id = await orders.place_order(), await orders.place_order(), generate_id()
    change_after_read_of_payment(lambda: orders.pay(paid_id, payment_id=payment_id))
    with suppress(ApiError):
        await orders.pay(order_id, 201, payment_id=payment_id)
    rows = await orders.execute_sql("SELECT order_id, outcome FROM payments WHERE payment_id = %(id)s", id=payment_id)
    assert rows == [{"order_id": paid_id, "outcome": "paid"}]
    assert (await orders.get_order(order_id)).status is OrderStatus.PENDING


async def test_position_reported_during_the_delivery_is_deleted(orders: Orders) -> None:
    order_id = await orders.place_order()
    await orders.pay(order_id)
    await mark_ready(orders, order_id)
    await usecases.assign_order(orders.repository, now, DELIVERER, order_id)
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"

    async def is_completion_waiting() -> bool:
        return bool(await orders.execute_sql(waiting))

    async with orders.repository.unit_of_work() as unit:
        await unit.orders.get_for_update(order_id)
        completion = asyncio.create_task(usecases.complete_order(orders.repository, now, DELIVERER, order_id))
        await wait_until_async(is_completion_waiting)
        await unit.positions.save(DelivererPosition(order_id, 39.78, -89.65, now()))
    assert (await completion).status is OrderStatus.DELIVERED
    rows = "SELECT 1 FROM deliverer_positions WHERE order_id = %(id)s"
    assert await orders.execute_sql(rows, id=order_id) == []


async def test_repeated_webhook_id_of_another_order_does_not_pay_it(orders: Orders) -> None:
    first, second = await orders.place_order(), await orders.place_order()
    webhook_id = generate_id()
    await orders.pay(first, webhook_id=webhook_id)
    with pytest.raises(ApiError) as raised:
        await orders.pay(second, webhook_id=webhook_id)
    assert raised.value.reason is Reason.WEBHOOK_ID_REUSED
    assert (await orders.get_order(second)).status is OrderStatus.PENDING


async def test_repeated_event_marks_an_order_as_ready_once(orders: Orders) -> None:
    first, second = await orders.place_order(), await orders.place_order()
    event_id = generate_id()
    for order_id in (first, second):
        await orders.pay(order_id)
        await mark_ready(orders, order_id, event_id)
    assert (await orders.get_order(first)).status is OrderStatus.READY
    assert (await orders.get_order(second)).status is OrderStatus.PAID


async def test_unexpected_event_is_processed_without_effect(orders: Orders) -> None:
    order_id, event_id = await orders.place_order(), generate_id()
    await mark_ready(orders, order_id, event_id)
    assert (await orders.get_order(order_id)).status is OrderStatus.PENDING
    rows = await orders.execute_sql("SELECT queue FROM inbox WHERE event_id = %(id)s", id=event_id)
    assert rows == [{"queue": "orders.readiness"}]
