"""Refunds for admins on real servers: list, retry and settlement."""

from generated.problems import Reason
from services.orders import usecases
from services.orders.domain.orders import RefundStatus
from services.orders.domain.payments import RefundResponse
from services.orders.domain.refund_actions import RefundFilter
from services.runtime.core.clock import now
from tests.integration.fixtures.orders import ROOT, Orders
from tests.integration.test_orders_payments import FakePaymentSystem, get_error_reason, send_all_refunds

REJECTED = RefundResponse(is_refunded=False, is_final=True, message="422")


async def create_failed_refund(orders: Orders) -> tuple[str, str]:
    """Return the ids of an order and of its failed refund."""
    await send_all_refunds(orders, FakePaymentSystem())
    order_id = await orders.place_order()
    await orders.pay(order_id, 230)
    await send_all_refunds(orders, FakePaymentSystem(REJECTED))
    (row,) = await orders.execute_sql("SELECT id FROM refunds WHERE order_id = %(id)s", id=order_id)
    return order_id, row["id"]


async def test_failed_refund_is_retried_until_made(orders: Orders) -> None:
    order_id, refund_id = await create_failed_refund(orders)
    payment_system = FakePaymentSystem(REJECTED)
    for _ in range(2):
        report = await usecases.retry_refund(orders.repository, now, ROOT, refund_id)
        assert (report.refund.status, report.refund.attempts) == (RefundStatus.REQUESTED, 0)
        await send_all_refunds(orders, payment_system)
    assert payment_system.refunded_amounts == {refund_id: 30}
    assert (await orders.get_order(order_id)).refund_status is RefundStatus.REFUNDED
    reason = await get_error_reason(usecases.retry_refund(orders.repository, now, ROOT, refund_id))
    assert reason is Reason.REFUND_CONFLICT
    alerts = await orders.execute_sql(
        "SELECT 1 FROM outbox WHERE type = 'system.alert' AND subject = %(id)s", id=f"refund:{refund_id}"
    )
    assert len(alerts) == 2


async def test_settled_refund_is_not_sent_and_lists_its_actions(orders: Orders) -> None:
    order_id, refund_id = await create_failed_refund(orders)
    await usecases.settle_refund(orders.repository, now, ROOT, refund_id, "transfer 4711")
    payment_system = FakePaymentSystem()
    await send_all_refunds(orders, payment_system)
    assert payment_system.requested_ids == []
    order = await orders.get_order(order_id)
    assert (order.refund_status, order.refunded_amount) == (RefundStatus.REFUNDED, 30)
    page = await usecases.list_refunds(orders.repository, ROOT, 10, "", RefundFilter(order_id))
    (report,) = page.items
    assert (report.refund.status, report.refund.last_response) == (RefundStatus.REFUNDED, "422")
    assert [(action.kind, action.actor, action.note) for action in report.actions] == [
        ("settled", "root", "transfer 4711")
    ]


async def test_refunds_are_listed_in_pages_by_filter(orders: Orders) -> None:
    _, first_id = await create_failed_refund(orders)
    _, second_id = await create_failed_refund(orders)
    listed, token = [], ""
    while token is not None:
        page = await usecases.list_refunds(
            orders.repository, ROOT, 1, token, RefundFilter(None, "visa", RefundStatus.FAILED)
        )
        listed += [report.refund.id for report in page.items]
        token = page.next_page_token
    assert listed[:2] == [second_id, first_id]
    assert len(set(listed)) == len(listed)
