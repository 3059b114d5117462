"""Orders and money on real servers: every answer to a bank, refunds to their end, and races with one winner."""

import asyncio
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import update

from generated.problems import Reason
from services.orders import usecases
from services.orders.adapters.postgres import tables
from services.orders.domain.orders import Bank, OrderStatus, RefundStatus
from services.orders.domain.payments import Refund
from services.orders.usecases.ports import RefundResponse
from services.runtime.core.clock import now
from services.runtime.core.errors import ApiError
from services.runtime.core.ids import new_id
from services.runtime.core.principal import Principal
from services.runtime.storage.database import Statement
from tests.integration.fixtures.orders import ADA, ROOT, Orders


class Ledger:
    """A bank that gives back once for each id, after the answers that it was told to give first."""

    def __init__(self, *first: RefundResponse) -> None:
        self.first = list(first)
        self.asked: list[str] = []
        self.given: dict[str, int] = {}

    async def refund(self, bank: Bank, refund: Refund) -> RefundResponse:
        self.asked.append(refund.id)
        await asyncio.sleep(0)
        if self.first:
            return self.first.pop(0)
        self.given[refund.id] = refund.amount
        return RefundResponse(True, True, "200")


async def send(orders: Orders, bank: Ledger, schedule: tuple[float, ...] = (0.0, 0.0)) -> None:
    while await usecases.send_due_refunds(orders.repository, bank, now, schedule):
        pass


async def events(orders: Orders, order_id: str) -> list[str]:
    rows = await orders.execute_sql(
        "SELECT type FROM outbox WHERE subject = %(id)s OR subject IN (SELECT id FROM refunds WHERE order_id = %(id)s)"
        " OR subject IN (SELECT payment_id FROM payments WHERE order_id = %(id)s) ORDER BY id",
        id=order_id,
    )
    return [row["type"] for row in rows]


async def refused(work: Any) -> Reason:
    with pytest.raises(ApiError) as raised:
        await work
    return raised.value.reason


@pytest.mark.parametrize(
    ("said", "reason", "status", "paid", "back"),
    [
        ({"amount": 200}, None, OrderStatus.PAID, 200, 0),
        ({"amount": 234}, None, OrderStatus.PAID, 234, 34),
        ({"amount": 199}, Reason.PAYMENT_INSUFFICIENT, OrderStatus.PENDING, 199, 199),
        ({"currency": "EUR"}, Reason.PAYMENT_INSUFFICIENT, OrderStatus.PENDING, 0, 200),
        ({"status": "failed"}, None, OrderStatus.PENDING, 0, 0),
        ({"bank_id": "km"}, Reason.ORDER_NOT_FOUND, OrderStatus.PENDING, 0, 200),
    ],
)
async def test_every_answer_to_a_bank_is_recorded_and_the_money_accounted_for(
    orders: Orders, said: dict[str, Any], reason: Reason | None, status: OrderStatus, paid: int, back: int
) -> None:
    order_id = await orders.place_order()
    if reason is None:
        await orders.pay(order_id, **said)
    else:
        assert await refused(orders.pay(order_id, **said)) is reason
    order = await orders.get_order(order_id)
    assert (order.status, order.paid_amount) == (status, paid)
    assert len(await orders.execute_sql("SELECT 1 FROM payments WHERE order_id = %(id)s", id=order_id)) == 1
    bank = Ledger()
    await send(orders, bank)
    refunds = await orders.execute_sql("SELECT id, amount, status FROM refunds WHERE order_id = %(id)s", id=order_id)
    assert [row["amount"] for row in refunds] == ([back] if back else [])
    assert [bank.given[row["id"]] for row in refunds] == ([back] if back else [])
    order = await orders.get_order(order_id)
    own = back and "bank_id" not in said
    assert order.refund_status is (RefundStatus.REFUNDED if own else RefundStatus.NONE)
    assert order.refunded_amount == (back if own and "currency" not in said else 0)


async def test_an_order_is_paid_once_and_a_second_payment_goes_back(orders: Orders) -> None:
    order_id = await orders.place_order()
    first = await orders.pay(order_id)
    assert await refused(orders.pay(order_id)) is Reason.PAYMENT_CONFLICT
    await send(orders, Ledger())
    order = await orders.get_order(order_id)
    assert (order.payment_id, order.paid_amount, order.refunded_amount) == (first, 400, 200)


async def test_a_payment_for_no_order_goes_back_and_alerts(orders: Orders) -> None:
    payment_id, order_id = new_id(), new_id()
    assert await refused(orders.pay(order_id, payment_id=payment_id)) is Reason.ORDER_NOT_FOUND
    bank = Ledger()
    await send(orders, bank)
    assert list(bank.given.values())[-1] == 200
    alerts = await orders.execute_sql("SELECT type FROM outbox WHERE subject = %(id)s", id=f"payment:visa:{payment_id}")
    assert alerts == [{"type": "system.alert"}]


async def test_a_repeated_webhook_gets_its_first_answer_whatever_happened_since(orders: Orders) -> None:
    order_id, webhook_id, payment_id = await orders.place_order(), new_id(), new_id()
    await orders.pay(order_id, webhook_id=webhook_id, payment_id=payment_id, status="failed")
    await usecases.cancel_order(orders.repository, now, ADA, order_id, None)
    assert await refused(orders.pay(order_id, payment_id=payment_id)) is Reason.PAYMENT_CONFLICT
    again = await orders.pay(order_id, webhook_id=webhook_id, payment_id=payment_id, status="failed")
    assert again == payment_id
    assert len(await orders.execute_sql("SELECT 1 FROM refunds WHERE order_id = %(id)s", id=order_id)) == 1


async def test_a_cancelled_order_gives_back_what_it_was_paid_with(orders: Orders) -> None:
    order_id = await orders.place_order()
    await orders.pay(order_id, 234)
    cancelled = await usecases.cancel_order(orders.repository, now, ADA, order_id, "no appetite")
    assert (cancelled.status, cancelled.refund_status) == (OrderStatus.CANCELLED, RefundStatus.REQUESTED)
    await send(orders, Ledger())
    order = await orders.get_order(order_id)
    assert (order.refund_status, order.refunded_amount, order.cancel_reason) == ("refunded", 234, "no appetite")
    kinds = await events(orders, order_id)
    assert kinds.count("payments.refund_requested") == kinds.count("payments.refunded") == 2
    assert kinds.count("orders.cancelled") == 1


async def test_a_refund_is_asked_for_again_until_the_bank_takes_it(orders: Orders) -> None:
    await send(orders, Ledger())
    order_id = await orders.place_order()
    await orders.pay(order_id, 201)
    bank = Ledger(RefundResponse(False, False, "503"), RefundResponse(False, False, "ReadTimeout"))
    await send(orders, bank)
    assert len(bank.asked) == 3
    assert len(set(bank.asked)) == 1
    assert (await orders.get_order(order_id)).refund_status is RefundStatus.REFUNDED


@pytest.mark.parametrize(
    "answers",
    [[RefundResponse(False, True, "422")], [RefundResponse(False, False, "503")] * 3],
    ids=["refused", "gone"],
)
async def test_a_refund_that_fails_is_said_and_alerts_once(orders: Orders, answers: list[RefundResponse]) -> None:
    await send(orders, Ledger())
    order_id = await orders.place_order()
    await orders.pay(order_id, 201)
    bank = Ledger(*answers)
    await send(orders, bank)
    assert len(bank.asked) == len(answers)
    assert (await orders.get_order(order_id)).refund_status is RefundStatus.FAILED
    assert "payments.refund_failed" in await events(orders, order_id)
    alerts = await orders.execute_sql("SELECT subject FROM alerts WHERE subject = %(id)s", id=f"refund:{bank.asked[0]}")
    assert len(alerts) == 1


async def test_several_workers_ask_for_each_refund_once(orders: Orders) -> None:
    await send(orders, Ledger())
    placed = [await orders.place_order() for _ in range(20)]
    for order_id in placed:
        await orders.pay(order_id, 201)
    bank = Ledger()
    await asyncio.gather(*(send(orders, bank) for _ in range(4)))
    assert len(bank.asked) == len(set(bank.asked)) == len(placed)


async def test_unpaid_orders_expire_once_however_many_look(orders: Orders) -> None:
    placed = [await orders.place_order() for _ in range(12)]
    await orders.execute_sql(
        "UPDATE orders SET created_at = created_at - interval '1 hour' WHERE id = ANY(%(ids)s)", ids=placed
    )
    young = await orders.place_order()
    life = timedelta(minutes=30)
    ended = await asyncio.gather(*(usecases.expire_orders(orders.repository, now, life) for _ in range(4)))
    assert sum(ended) >= len(placed)
    for order_id in placed:
        assert (await orders.get_order(order_id)).status is OrderStatus.EXPIRED
        assert (await events(orders, order_id)).count("orders.expired") == 1
    assert (await orders.get_order(young)).status is OrderStatus.PENDING
    assert await refused(orders.pay(placed[0])) is Reason.PAYMENT_CONFLICT


async def test_of_a_cancellation_and_a_payment_the_money_is_accounted_for_either_way(orders: Orders) -> None:
    for _ in range(8):
        order_id = await orders.place_order()
        cancel = usecases.cancel_order(orders.repository, now, ADA, order_id, None)
        await asyncio.gather(cancel, orders.pay(order_id), return_exceptions=True)
        await send(orders, Ledger())
        order = await orders.get_order(order_id)
        assert order.status is OrderStatus.CANCELLED
        assert (order.paid_amount, order.refunded_amount) == (200, 200)


async def test_a_ready_order_is_cancelled_by_an_admin_or_taken_by_a_deliverer(orders: Orders) -> None:
    order_id = await orders.place_order()
    await orders.pay(order_id)
    await usecases.mark_order_ready(
        orders.repository, now, "orders.readiness", new_id(), order_id, 1, "1 Market Square"
    )
    customers = usecases.cancel_order(orders.repository, now, ADA, order_id, None)
    assert await refused(customers) is Reason.ORDER_STATE_CONFLICT
    bob = Principal("bob", "deliverer", "", True, now())
    answers = await asyncio.gather(
        usecases.cancel_order(orders.repository, now, ROOT, order_id, None),
        usecases.assign_order(orders.repository, now, bob, order_id),
        return_exceptions=True,
    )
    assert sum(isinstance(answer, ApiError) for answer in answers) == 1


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
async def test_the_database_refuses_what_cannot_be(orders: Orders, change: dict[str, Any]) -> None:
    order_id = await orders.place_order()
    statement = Statement(update(tables.orders).where(tables.orders.c.id == order_id).values(change))
    with pytest.raises(psycopg.errors.CheckViolation):
        await orders.database.execute(statement)


async def test_an_order_that_no_try_brought_to_its_partner_is_paid_back_once(orders: Orders) -> None:
    order_id, event_id, bank = await orders.place_order(), new_id(), Ledger()

    async def given_up(event: str, partner_id: int) -> None:
        await usecases.cancel_order_for_unreachable_partner(
            orders.repository, now, "orders.partners", event, order_id, partner_id, "503"
        )

    await orders.pay(order_id)
    await given_up(new_id(), 2)  # another partner's word counts nothing
    assert (await orders.get_order(order_id)).status is OrderStatus.PAID
    for _ in range(2):
        await given_up(event_id, 1)
    await send(orders, bank)
    order = await orders.get_order(order_id)
    assert (order.status, order.refund_status) == (OrderStatus.CANCELLED, RefundStatus.REFUNDED)
    assert order.cancel_reason == "The partner cannot be reached: 503"
    assert order.refunded_amount == order.paid_amount > 0
