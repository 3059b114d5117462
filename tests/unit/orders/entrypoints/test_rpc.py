"""gRPC servicer of orders: mapping of messages, secrets, replayed responses and unknown enum values."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from cryptography.fernet import Fernet

from generated.problems import Reason
from generated.proto.delivery.orders import v1
from services.orders.domain.orders import HistoryEntry, OrderStatus
from services.orders.domain.payments import PaymentOutcome, PaymentRecord
from services.orders.entrypoints.rpc import OrdersRpc
from services.runtime.outbound import webhooks
from services.runtime.rpc.codec import get_codec
from services.runtime.storage.encryption import SecretBox
from tests.unit.fake_transactions import NOW, raises_reason
from tests.unit.orders.fakes import ADA, ADMIN, BANK, BOB, FakeChangeListener, FakeHistory, FakeRepository, build_order

SECRET_BOX = SecretBox(Fernet.generate_key().decode())
BASKET = v1.CheckedBasket(
    partner=v1.OrderPartner(id=1, title="Green Bowl", brand="Bowls"),
    items=[v1.OrderItem(product_id=1, title="Lemonade", quantity=2, price=100)],
    total_amount=200,
    currency="USD",
    bank_id="visa",
    delivery_address="1 Long Street",
)


def build_rpc(repository: FakeRepository, history: FakeHistory | None = None) -> OrdersRpc:
    return OrdersRpc(
        repository,
        history or FakeHistory(),
        FakeChangeListener(),
        SECRET_BOX,
        repository.clock,
        lambda _: "o1",
        "https://api.test",
        ["https://app.test"],
    )


async def test_created_bank_is_returned_with_secret_once() -> None:
    rpc = build_rpc(FakeRepository(banks=()))
    request = v1.CreateBankRequest(
        id="visa",
        title="Visa",
        webcheckout_url="https://visa.test/pay",
        api_url="https://visa.test/api",
        active=True,
        idempotency_key="k1",
    )
    first, second = [
        get_codec().decode(v1.CreateBankResponse, (await rpc.create_bank(request, ADMIN)).data) for _ in range(2)
    ]
    assert (first.webhook_secret or "").startswith("whsec_")
    assert (first.replayed, second.replayed, second.webhook_secret) == (False, True, None)
    assert first.bank == second.bank
    got = await rpc.get_bank(v1.GetBankRequest(bank_id="visa"), ADMIN)
    assert (got.bank, got.version) == (first.bank, 1)


async def test_bank_update_changes_only_given_fields() -> None:
    rpc = build_rpc(FakeRepository())
    response = await rpc.update_bank(v1.UpdateBankRequest(bank_id="visa", active=False), ADMIN)
    assert (response.version, response.bank.active, response.bank.title) == (2, False, "Visa")
    listed = await rpc.list_banks(v1.ListBanksRequest(page_size=10))
    assert listed.items == []
    for active, items in ((None, [response.bank]), (False, [response.bank]), (True, [])):
        request = v1.ListRegisteredBanksRequest(page_size=10, active=active)
        assert (await rpc.list_registered_banks(request, ADMIN)).items == items


async def test_rotated_secret_signs_callbacks() -> None:
    repository = FakeRepository(build_order())
    repository.banks["visa"] = replace(repository.banks["visa"], webhook_secret=SECRET_BOX.encrypt("whsec_AAAA"))
    rpc = build_rpc(repository)
    secret = (await rpc.rotate_bank_secret(v1.RotateBankSecretRequest(bank_id="visa"), ADMIN)).webhook_secret
    body = msgspec.json.encode(
        {"payment_id": "p1", "order_id": "o1", "amount": 200, "currency": "USD", "status": "succeeded"}
    )
    headers = webhooks.sign_message("w1", datetime.now(UTC), body, secret)
    request = v1.HandlePaymentCallbackRequest(
        bank_id="visa",
        webhook_id="w1",
        webhook_timestamp=headers["webhook-timestamp"],
        webhook_signature=headers["webhook-signature"],
        body=body,
    )
    assert (await rpc.handle_payment_callback(request)).payment_id == "p1"
    assert repository.orders["o1"].status is OrderStatus.PAID
    with raises_reason(Reason.SIGNATURE_INVALID):
        await rpc.handle_payment_callback(replace(request, bank_id="unknown"))
    with raises_reason(Reason.INVALID_REQUEST):  # before the signature
        await rpc.handle_payment_callback(v1.HandlePaymentCallbackRequest(bank_id="unknown", body=b"{}"))


async def test_created_order_is_returned_with_payment_instructions() -> None:
    rpc = build_rpc(FakeRepository(banks=[replace(BANK, webhook_secret=SECRET_BOX.encrypt("whsec_AAAA"))]))
    request = v1.CreateOrderRequest(check_id="c1", basket=BASKET, idempotency_key="k1")
    first, second = [
        get_codec().decode(v1.CreateOrderResponse, (await rpc.create_order(request, ADA)).data) for _ in range(2)
    ]
    assert (first.order.id, first.order.status) == ("o1", v1.OrderStatus.PENDING)
    assert first.payment.callback_url == "https://api.test/api/v1/callbacks/payments/visa"
    assert (first.replayed, second.replayed) == (False, True)
    assert first.order == second.order


async def test_payment_instructions_equal_those_of_created_order() -> None:
    rpc = build_rpc(FakeRepository(banks=[replace(BANK, webhook_secret=SECRET_BOX.encrypt("whsec_AAAA"))]))
    created = await rpc.create_order(v1.CreateOrderRequest(check_id="c1", basket=BASKET), ADA)
    again = await rpc.get_payment_instructions(v1.GetPaymentInstructionsRequest(order_id="o1"), ADA)
    assert again.payment == get_codec().decode(v1.CreateOrderResponse, created.data).payment
    assert "signature=" in (again.payment.webcheckout_url if again.payment else "")


async def test_return_url_is_part_of_payment_instructions() -> None:
    repository = FakeRepository(banks=[replace(BANK, webhook_secret=SECRET_BOX.encrypt("whsec_AAAA"))])
    rpc = build_rpc(repository)
    request = v1.CreateOrderRequest(check_id="c1", basket=BASKET, return_url="https://evil.test/", idempotency_key="k1")
    with raises_reason(Reason.RETURN_URL_NOT_ALLOWED):
        await rpc.create_order(request, ADA)
    assert repository.orders == {}
    request = replace(request, return_url="https://app.test/orders")
    created = await rpc.create_order(request, ADA)
    payment = get_codec().decode(v1.CreateOrderResponse, created.data).payment
    assert "&return_url=https%3A%2F%2Fapp.test%2Forders%3Forder_id%3Do1&" in payment.webcheckout_url
    get_request = v1.GetPaymentInstructionsRequest(order_id="o1", return_url=request.return_url)
    assert (await rpc.get_payment_instructions(get_request, ADA)).payment == payment
    with raises_reason(Reason.RETURN_URL_NOT_ALLOWED):
        await rpc.get_payment_instructions(replace(get_request, return_url="https://evil.test/"), ADA)


async def test_order_without_check_reports_cause() -> None:
    rpc = build_rpc(FakeRepository())
    with raises_reason(Reason.CHECK_EXPIRED):
        await rpc.create_order(v1.CreateOrderRequest(check_id="c1"), ADA)
    with raises_reason(Reason.UPSTREAM_UNAVAILABLE):
        await rpc.create_order(v1.CreateOrderRequest(check_id="c1", cache_unavailable=True), ADA)


@pytest.mark.parametrize(
    ("rejection", "reason"),
    [("PARTNER_UNAVAILABLE", Reason.PARTNER_UNAVAILABLE), ("", Reason.INVALID_REQUEST), ("x", Reason.INVALID_REQUEST)],
)
async def test_rejected_basket_creates_no_order(rejection: str, reason: Reason) -> None:
    repository = FakeRepository()
    with raises_reason(reason):
        request = v1.CreateOrderRequest(check_id="c1", basket=BASKET, rejection=rejection)
        await build_rpc(repository).create_order(request, ADA)
    assert repository.orders == {}


async def test_order_passes_through_delivery() -> None:
    repository = FakeRepository(build_order(OrderStatus.READY))
    rpc = build_rpc(repository)
    available = await rpc.list_available_deliveries(v1.ListAvailableDeliveriesRequest(page_size=10), BOB)
    assert [order.id for order in available.items] == ["o1"]
    assigned = await rpc.assign_order(v1.AssignOrderRequest(order_id="o1"), BOB)
    completed = await rpc.complete_order(v1.CompleteOrderRequest(order_id="o1"), BOB)
    got = await rpc.get_order(v1.GetOrderRequest(order_id="o1"), ADA)
    statuses = [response.order.status for response in (assigned, completed, got)]
    assert statuses == [v1.OrderStatus.DELIVERING, v1.OrderStatus.DELIVERED, v1.OrderStatus.DELIVERED]


async def test_cancelled_order_is_returned_with_reason() -> None:
    rpc = build_rpc(FakeRepository(build_order()))
    response = await rpc.cancel_order(v1.CancelOrderRequest(order_id="o1", reason="why not"), ADA)
    assert (response.order.status, response.order.cancel_reason) == (v1.OrderStatus.CANCELLED, "why not")


@pytest.mark.parametrize(("status", "count"), [(None, 2), (v1.OrderStatus.PAID, 1), (v1.OrderStatus.READY, 0)])
async def test_orders_are_filtered_by_status(status: v1.OrderStatus | None, count: int) -> None:
    rpc = build_rpc(FakeRepository(build_order(), build_order(OrderStatus.PAID, "o2")))
    page = await rpc.list_orders(v1.ListOrdersRequest(page_size=10, status=status), ADMIN)
    assert len(page.items) == count


@pytest.mark.parametrize("status", [v1.OrderStatus(99), v1.OrderStatus(0)])
async def test_unknown_status_filter_raises(status: v1.OrderStatus) -> None:
    rpc = build_rpc(FakeRepository())
    with raises_reason(Reason.INVALID_REQUEST) as raised:
        await rpc.list_orders(v1.ListOrdersRequest(page_size=10, status=status), ADMIN)
    assert [error.field for error in raised.value.errors] == ["status"]


async def test_payments_and_history_are_converted() -> None:
    history = FakeHistory()
    await history.save_payment(PaymentRecord("visa", "p1", "o1", 250, "USD", PaymentOutcome.OVERPAID, 50, NOW))
    await history.save_history_entry(HistoryEntry("o1", 1, OrderStatus.PENDING, NOW, "customer:ada"))
    rpc = build_rpc(FakeRepository(build_order()), history)
    (payment,) = (await rpc.list_payments(v1.ListPaymentsRequest(page_size=10), ADMIN)).items
    assert (payment.outcome, payment.amount, payment.refund_amount, payment.at) == (
        v1.PaymentOutcome.OVERPAID,
        250,
        50,
        NOW,
    )
    (entry,) = (await rpc.get_order_history(v1.GetOrderHistoryRequest(order_id="o1", page_size=10), ADA)).items
    assert entry == v1.HistoryEntry(status=v1.OrderStatus.PENDING, at=NOW, actor="customer:ada")


async def test_watched_order_streams_status_changes() -> None:
    repository = FakeRepository(build_order(OrderStatus.EXPIRED))
    principal = replace(ADA, expires_at=NOW + timedelta(hours=1))
    stream = build_rpc(repository).watch_order(v1.WatchOrderRequest(order_id="o1"), principal)
    assert [(change.version, change.status, change.at) async for change in stream] == [(1, v1.OrderStatus.EXPIRED, NOW)]
