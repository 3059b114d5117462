"""Payments and refunds on real servers: payment outcomes, retries of refunds, and concurrent changes."""

import asyncio
from collections import Counter
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import httpx
import psycopg
import pytest
from sqlalchemy import update

from generated.problems import Reason
from services.orders import usecases
from services.orders.adapters.postgres import tables
from services.orders.domain.orders import Bank, OrderStatus, RefundStatus
from services.orders.domain.payments import Refund, RefundResponse
from services.orders.entrypoints.refund_worker import LEASE, MAX_CONCURRENT, create_refund_workers
from services.runtime.core.clock import now
from services.runtime.core.errors import ApiError
from services.runtime.core.ids import generate_id
from services.runtime.core.principal import Principal
from services.runtime.storage.statements.statement import Statement
from tests.integration.fixtures.background_tasks import run_in_background
from tests.integration.fixtures.orders import ADA, ROOT, Orders
from tests.wait import wait_until_async


class FakePaymentSystem:
    """Bank that returns the given responses first and then makes each refund, deduplicated by id."""

    def __init__(self, *responses: RefundResponse) -> None:
        self.responses = list(responses)
        self.requested_ids: list[str] = []
        self.refunded_amounts: dict[str, int] = {}

    async def refund(self, bank: Bank, refund: Refund) -> RefundResponse:
        self.requested_ids.append(refund.id)
        await asyncio.sleep(0)
        if self.responses:
            return self.responses.pop(0)
        self.refunded_amounts[refund.id] = refund.amount
        return RefundResponse(True, True, "200")


async def send_all_refunds(
    orders: Orders, payment_system: FakePaymentSystem, retry_delays_s: tuple[float, ...] = (0.0, 0.0)
) -> None:
    while refunds := await orders.refund_queue.claim_due(MAX_CONCURRENT, now(), now() + LEASE):
        await asyncio.gather(
            *(
                usecases.send_refund(
                    orders.refund_queue, orders.repository, payment_system, now, retry_delays_s, refund
                )
                for refund in refunds
            )
        )


async def list_event_types(orders: Orders, order_id: str) -> list[str]:
    rows = await orders.execute_sql(
        "SELECT type FROM outbox WHERE subject = %(id)s OR subject IN (SELECT id FROM refunds WHERE order_id = %(id)s)"
        " OR subject IN (SELECT payment_id FROM payments WHERE order_id = %(id)s) ORDER BY id",
        id=order_id,
    )
    return [row["type"] for row in rows]


async def get_error_reason(work: Any) -> Reason:
    with pytest.raises(ApiError) as raised:
        await work
    return raised.value.reason


@pytest.mark.parametrize(
    ("callback", "reason", "status", "paid_amount", "refund_amount"),
    [
        ({"amount": 200}, None, OrderStatus.PAID, 200, 0),
        ({"amount": 234}, None, OrderStatus.PAID, 234, 34),
        ({"amount": 199}, Reason.PAYMENT_INSUFFICIENT, OrderStatus.PENDING, 199, 199),
        ({"currency": "EUR"}, Reason.PAYMENT_INSUFFICIENT, OrderStatus.PENDING, 0, 200),
        ({"status": "failed"}, None, OrderStatus.PENDING, 0, 0),
        ({"bank_id": "km"}, Reason.ORDER_NOT_FOUND, OrderStatus.PENDING, 0, 200),
    ],
)
async def test_payment_callback_is_recorded_and_excess_refunded(
    orders: Orders,
    callback: dict[str, Any],
    reason: Reason | None,
    status: OrderStatus,
    paid_amount: int,
    refund_amount: int,
) -> None:
    order_id = await orders.place_order()
    if reason is None:
        await orders.pay(order_id, **callback)
    else:
        assert await get_error_reason(orders.pay(order_id, **callback)) is reason
    order = await orders.get_order(order_id)
    assert (order.status, order.paid_amount) == (status, paid_amount)
    assert len(await orders.execute_sql("SELECT 1 FROM payments WHERE order_id = %(id)s", id=order_id)) == 1
    payment_system = FakePaymentSystem()
    await send_all_refunds(orders, payment_system)
    refunds = await orders.execute_sql("SELECT id, amount, status FROM refunds WHERE order_id = %(id)s", id=order_id)
    expected_amounts = [refund_amount] if refund_amount else []
    assert [row["amount"] for row in refunds] == expected_amounts
    assert [payment_system.refunded_amounts[row["id"]] for row in refunds] == expected_amounts
    order = await orders.get_order(order_id)
    has_own_refund = refund_amount and "bank_id" not in callback
    assert order.refund_status is (RefundStatus.REFUNDED if has_own_refund else RefundStatus.NONE)
    assert order.refunded_amount == (refund_amount if has_own_refund and "currency" not in callback else 0)


async def test_second_payment_is_refunded(orders: Orders) -> None:
    order_id = await orders.place_order()
    payment_id = await orders.pay(order_id)
    assert await get_error_reason(orders.pay(order_id)) is Reason.PAYMENT_CONFLICT
    await send_all_refunds(orders, FakePaymentSystem())
    order = await orders.get_order(order_id)
    assert (order.payment_id, order.paid_amount, order.refunded_amount) == (payment_id, 400, 200)


async def test_payment_for_unknown_order_is_refunded_and_raises_alert(orders: Orders) -> None:
    payment_id, order_id = generate_id(), generate_id()
    assert await get_error_reason(orders.pay(order_id, payment_id=payment_id)) is Reason.ORDER_NOT_FOUND
    payment_system = FakePaymentSystem()
    await send_all_refunds(orders, payment_system)
    assert list(payment_system.refunded_amounts.values())[-1] == 200
    alerts = await orders.execute_sql("SELECT type FROM outbox WHERE subject = %(id)s", id=f"payment:visa:{payment_id}")
    assert alerts == [{"type": "system.alert"}]


async def test_repeated_webhook_returns_first_result_after_order_changed(orders: Orders) -> None:
    order_id, webhook_id, payment_id = await orders.place_order(), generate_id(), generate_id()
    await orders.pay(order_id, webhook_id=webhook_id, payment_id=payment_id, status="failed")
    await usecases.cancel_order(orders.repository, now, ADA, order_id, None)
    assert await get_error_reason(orders.pay(order_id, payment_id=payment_id)) is Reason.PAYMENT_CONFLICT
    repeated = await orders.pay(order_id, webhook_id=webhook_id, payment_id=payment_id, status="failed")
    assert repeated == payment_id
    assert len(await orders.execute_sql("SELECT 1 FROM refunds WHERE order_id = %(id)s", id=order_id)) == 1


async def test_success_of_failed_payment_for_other_order_is_refunded_once(orders: Orders) -> None:
    failed_id, order_id, payment_id = await orders.place_order(), await orders.place_order(), generate_id()
    await orders.pay(failed_id, payment_id=payment_id, status="failed")
    results = await asyncio.gather(
        *(orders.pay(order_id, payment_id=payment_id) for _ in range(4)), return_exceptions=True
    )
    assert [result.reason for result in results if isinstance(result, ApiError)] == [Reason.PAYMENT_CONFLICT] * 4
    await send_all_refunds(orders, FakePaymentSystem())
    refunds = await orders.execute_sql("SELECT amount, status FROM refunds WHERE payment_id = %(id)s", id=payment_id)
    assert refunds == [{"amount": 200, "status": "refunded"}]
    order = await orders.get_order(order_id)
    assert (order.status, order.paid_amount, order.refunded_amount) == (OrderStatus.PENDING, 200, 200)
    assert (await orders.get_order(failed_id)).paid_amount == 0
    (row,) = await orders.execute_sql(
        "SELECT order_id, outcome, refund_amount FROM payments WHERE payment_id = %(id)s", id=payment_id
    )
    assert row == {"order_id": order_id, "outcome": "conflict", "refund_amount": 200}


async def test_six_payments_with_one_webhook_id_are_acknowledged_once(orders: Orders) -> None:
    order_id, webhook_id = await orders.place_order(), generate_id()
    payment_ids = [generate_id() for _ in range(6)]
    results = await asyncio.gather(
        *(orders.pay(order_id, webhook_id=webhook_id, payment_id=payment_id) for payment_id in payment_ids),
        return_exceptions=True,
    )
    reasons = [result.reason for result in results if isinstance(result, ApiError)]
    assert reasons == [Reason.WEBHOOK_ID_REUSED] * 5
    await send_all_refunds(orders, FakePaymentSystem())
    order = await orders.get_order(order_id)
    assert (order.status, order.paid_amount, order.refunded_amount) == (OrderStatus.PAID, 1200, 1000)
    rows = await orders.execute_sql("SELECT outcome FROM payments WHERE order_id = %(id)s", id=order_id)
    assert Counter(row["outcome"] for row in rows) == {"paid": 1, "conflict": 5}


async def test_one_payment_id_pays_one_of_six_orders(orders: Orders) -> None:
    order_ids, payment_id = [await orders.place_order() for _ in range(6)], generate_id()
    for _ in range(2):
        results = await asyncio.gather(
            *(orders.pay(order_id, payment_id=payment_id) for order_id in order_ids), return_exceptions=True
        )
        reasons = [result.reason for result in results if isinstance(result, ApiError)]
        assert reasons == [Reason.PAYMENT_ID_REUSED] * 5
    statuses = [(await orders.get_order(order_id)).status for order_id in order_ids]
    assert Counter(statuses) == {OrderStatus.PAID: 1, OrderStatus.PENDING: 5}
    outcomes = await orders.execute_sql(
        "SELECT order_id, outcome FROM payments WHERE payment_id = %(id)s UNION ALL"
        " SELECT order_id, outcome FROM rejected_payments WHERE payment_id = %(id)s",
        id=payment_id,
    )
    assert Counter(row["outcome"] for row in outcomes) == {"paid": 1, "duplicate_id": 5}
    assert {row["order_id"] for row in outcomes} == {*order_ids}
    events = await orders.execute_sql("SELECT type FROM outbox WHERE subject = %(id)s", id=payment_id)
    assert [row["type"] for row in events] == ["payments.recorded"] * 6
    assert await orders.execute_sql("SELECT 1 FROM refunds WHERE payment_id = %(id)s", id=payment_id) == []


async def test_cancellation_refunds_payment(orders: Orders) -> None:
    order_id = await orders.place_order()
    await orders.pay(order_id, 234)
    cancelled = await usecases.cancel_order(orders.repository, now, ADA, order_id, "no appetite")
    assert (cancelled.status, cancelled.refund_status) == (OrderStatus.CANCELLED, RefundStatus.REQUESTED)
    await send_all_refunds(orders, FakePaymentSystem())
    order = await orders.get_order(order_id)
    assert (order.refund_status, order.refunded_amount, order.cancel_reason) == ("refunded", 234, "no appetite")
    event_types = await list_event_types(orders, order_id)
    assert event_types.count("payments.refund_requested") == event_types.count("payments.refunded") == 2
    assert event_types.count("orders.cancelled") == 1


async def test_refund_is_retried_until_accepted(orders: Orders) -> None:
    await send_all_refunds(orders, FakePaymentSystem())
    order_id = await orders.place_order()
    await orders.pay(order_id, 201)
    payment_system = FakePaymentSystem(RefundResponse(False, False, "503"), RefundResponse(False, False, "ReadTimeout"))
    await send_all_refunds(orders, payment_system)
    assert len(payment_system.requested_ids) == 3
    assert len(set(payment_system.requested_ids)) == 1
    assert (await orders.get_order(order_id)).refund_status is RefundStatus.REFUNDED


@pytest.mark.parametrize(
    "responses",
    [[RefundResponse(False, True, "422")], [RefundResponse(False, False, "503")] * 3],
    ids=["rejected", "attempts exhausted"],
)
async def test_failed_refund_publishes_event_and_alerts_once(orders: Orders, responses: list[RefundResponse]) -> None:
    await send_all_refunds(orders, FakePaymentSystem())
    order_id = await orders.place_order()
    await orders.pay(order_id, 201)
    payment_system = FakePaymentSystem(*responses)
    await send_all_refunds(orders, payment_system)
    assert len(payment_system.requested_ids) == len(responses)
    assert (await orders.get_order(order_id)).refund_status is RefundStatus.FAILED
    assert "payments.refund_failed" in await list_event_types(orders, order_id)
    alerts = await orders.execute_sql(
        "SELECT subject FROM alerts WHERE subject = %(id)s", id=f"refund:{payment_system.requested_ids[0]}"
    )
    assert len(alerts) == 1


async def test_error_of_one_refund_fails_it_after_last_attempt(orders: Orders) -> None:
    await send_all_refunds(orders, FakePaymentSystem())
    order_id, other_order_id = await orders.place_order(), await orders.place_order()
    await orders.pay(order_id, 201)
    await orders.pay(other_order_id, 202)

    class FailingPaymentSystem(FakePaymentSystem):
        async def refund(self, bank: Bank, refund: Refund) -> RefundResponse:
            if refund.order_id == order_id:
                self.requested_ids.append(refund.id)
                raise httpx.InvalidURL("Invalid port: '99999'")
            return await super().refund(bank, refund)

    payment_system = FailingPaymentSystem()
    pool = create_refund_workers(
        orders.refund_queue,
        orders.repository,
        payment_system,
        now,
        retry_delays_s=(0.0, 0.0),
        poll_interval_s=0.02,
        trace=nullcontext,
        wakeup=asyncio.Event(),
    )

    async def are_finished() -> bool:
        statuses = [(await orders.get_order(each)).refund_status for each in (order_id, other_order_id)]
        return statuses == [RefundStatus.FAILED, RefundStatus.REFUNDED]

    async with run_in_background(pool.run()):
        await wait_until_async(are_finished)
    assert Counter(payment_system.requested_ids).most_common(1)[0][1] == 3
    rows = await orders.execute_sql("SELECT * FROM refunds WHERE order_id = %(id)s", id=order_id)
    assert [(row["attempts"], row["last_response"]) for row in rows] == [(3, "internal error")]
    assert "payments.refund_failed" in await list_event_types(orders, order_id)


async def test_concurrent_workers_send_each_refund_once(orders: Orders) -> None:
    await send_all_refunds(orders, FakePaymentSystem())
    order_ids = [await orders.place_order() for _ in range(20)]
    for order_id in order_ids:
        await orders.pay(order_id, 201)
    payment_system = FakePaymentSystem()
    await asyncio.gather(*(send_all_refunds(orders, payment_system) for _ in range(4)))
    requested_ids = payment_system.requested_ids
    assert len(requested_ids) == len(set(requested_ids)) == len(order_ids)


async def test_concurrent_expiry_expires_each_order_once(orders: Orders) -> None:
    order_ids = [await orders.place_order() for _ in range(12)]
    await orders.execute_sql(
        "UPDATE orders SET created_at = created_at - interval '1 hour' WHERE id = ANY(%(ids)s)", ids=order_ids
    )
    new_order_id = await orders.place_order()
    payment_timeout = timedelta(minutes=30)
    counts = await asyncio.gather(*(usecases.expire_orders(orders.repository, now, payment_timeout) for _ in range(4)))
    assert sum(counts) >= len(order_ids)
    for order_id in order_ids:
        assert (await orders.get_order(order_id)).status is OrderStatus.EXPIRED
        assert (await list_event_types(orders, order_id)).count("orders.expired") == 1
    assert (await orders.get_order(new_order_id)).status is OrderStatus.PENDING
    assert await get_error_reason(orders.pay(order_ids[0])) is Reason.PAYMENT_CONFLICT


async def test_payment_concurrent_with_cancellation_is_refunded(orders: Orders) -> None:
    for _ in range(8):
        order_id = await orders.place_order()
        cancellation = usecases.cancel_order(orders.repository, now, ADA, order_id, None)
        await asyncio.gather(cancellation, orders.pay(order_id), return_exceptions=True)
        await send_all_refunds(orders, FakePaymentSystem())
        order = await orders.get_order(order_id)
        assert order.status is OrderStatus.CANCELLED
        assert (order.paid_amount, order.refunded_amount) == (200, 200)


async def test_either_cancellation_or_assignment_of_ready_order_succeeds(orders: Orders) -> None:
    order_id = await orders.place_order()
    await orders.pay(order_id)
    await usecases.mark_order_ready(
        orders.repository, now, "orders.readiness", generate_id(), order_id, 1, "1 Market Square"
    )
    by_customer = usecases.cancel_order(orders.repository, now, ADA, order_id, None)
    assert await get_error_reason(by_customer) is Reason.ORDER_STATE_CONFLICT
    bob = Principal("bob", "deliverer", "", True, now())
    results = await asyncio.gather(
        usecases.cancel_order(orders.repository, now, ROOT, order_id, None),
        usecases.assign_order(orders.repository, now, bob, order_id),
        return_exceptions=True,
    )
    assert sum(isinstance(result, ApiError) for result in results) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"status": "paid"},
        {"status": "delivering"},
        {"status": "lost"},
        {"refunded_amount": 1},
        {"version": 0},
        {"payment_id": "p"},
        {"cancel_reason": "why"},
    ],
    ids=str,
)
async def test_check_constraint_rejects_invalid_order(orders: Orders, change: dict[str, Any]) -> None:
    order_id = await orders.place_order()
    statement = Statement(update(tables.orders).where(tables.orders.c.id == order_id).values(change))
    with pytest.raises(psycopg.errors.CheckViolation):
        await orders.database.execute(statement)


async def test_unreachable_partner_cancels_and_refunds_once(orders: Orders) -> None:
    order_id, event_id, payment_system = await orders.place_order(), generate_id(), FakePaymentSystem()

    async def report_unreachable(event_id: str, partner_id: int) -> None:
        await usecases.cancel_order_for_unreachable_partner(
            orders.repository, now, "orders.partners", event_id, order_id, partner_id, "503"
        )

    await orders.pay(order_id)
    await report_unreachable(generate_id(), 2)  # an event about another partner has no effect
    assert (await orders.get_order(order_id)).status is OrderStatus.PAID
    for _ in range(2):
        await report_unreachable(event_id, 1)
    await send_all_refunds(orders, payment_system)
    order = await orders.get_order(order_id)
    assert (order.status, order.refund_status) == (OrderStatus.CANCELLED, RefundStatus.REFUNDED)
    assert order.cancel_reason == "The partner cannot be reached: 503"
    assert order.refunded_amount == order.paid_amount > 0
