"""Idempotency keys, banks and the list of payments on real servers, through the gRPC servicer."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from generated.problems import Reason
from generated.proto.delivery.orders import v1
from services.orders import usecases
from services.orders.adapters.order_change_listener import PostgresOrderChangeListener
from services.orders.domain.orders import Bank, Order, OrderStatus
from services.orders.domain.payments import PaymentFilter, PaymentOutcome, PaymentRecord
from services.orders.entrypoints.rpc import OrdersRpc
from services.orders.usecases import OrderRequest
from services.runtime.core.clock import now
from services.runtime.core.errors import ApiError
from services.runtime.core.idempotency import IdempotencyKey, IdempotentResponse
from services.runtime.core.ids import derive_id, generate_id
from services.runtime.core.principal import Principal
from services.runtime.rpc.codec import get_codec
from services.runtime.storage import idempotency
from tests.integration.fixtures.orders import ADA, ROOT, Orders
from tests.integration.fixtures.orders import BASKET as ORDER_BASKET

EVE = Principal("eve", "customer", "", True, now() + timedelta(hours=1))
BASKET: dict[str, Any] = {
    "partner": v1.OrderPartner(id=1, title="Green Bowl", brand="B"),
    "items": [v1.OrderItem(product_id=1, title="L", quantity=2, price=100)],
    "total_amount": 200,
    "currency": "USD",
    "delivery_address": "1 Long Street",
}


@pytest.fixture
def rpc(orders: Orders) -> OrdersRpc:
    listener = PostgresOrderChangeListener(orders.database.url)
    origins = ["https://app.example"]
    return OrdersRpc(
        orders.repository, orders.history, listener, orders.secret_box, now, derive_id, "http://edge", origins
    )


def build_order_request(
    key: str | None, check_id: str | None = None, *, with_basket: bool = True, bank_id: str = "visa"
) -> v1.CreateOrderRequest:
    basket = v1.CheckedBasket(**BASKET, bank_id=bank_id) if with_basket else None
    return v1.CreateOrderRequest(check_id=check_id or generate_id(), basket=basket, idempotency_key=key)


def build_bank_request(key: str | None = None, **changes: Any) -> v1.CreateBankRequest:
    fields: dict[str, Any] = {
        "id": generate_id().lower().replace("_", "-"),
        "title": "North",
        "webcheckout_url": "https://bank.example/pay",
        "api_url": "https://bank.example/api",
        "active": True,
    }
    return v1.CreateBankRequest(**(fields | changes), idempotency_key=key)


async def create_order(rpc: OrdersRpc, request: v1.CreateOrderRequest, principal: Principal) -> v1.CreateOrderResponse:
    response = await rpc.create_order(request, principal)
    return get_codec().decode(v1.CreateOrderResponse, response.data)


async def create_bank(rpc: OrdersRpc, request: v1.CreateBankRequest, principal: Principal) -> v1.CreateBankResponse:
    response = await rpc.create_bank(request, principal)
    return get_codec().decode(v1.CreateBankResponse, response.data)


async def get_error(work: Any) -> ApiError:
    with pytest.raises(ApiError) as raised:
        await work
    return raised.value


async def test_repeated_key_returns_first_response_after_order_changed(orders: Orders, rpc: OrdersRpc) -> None:
    request = build_order_request(generate_id())
    first = await create_order(rpc, request, ADA)
    assert first.order is not None
    await orders.pay(first.order.id)
    repeated_request = build_order_request(request.idempotency_key, request.check_id, with_basket=False)
    repeated = await create_order(rpc, repeated_request, ADA)
    assert (first.replayed, repeated.replayed) == (False, True)
    assert (repeated.order, repeated.payment) == (first.order, first.payment)


async def test_repeated_key_returns_the_first_encoded_response(orders: Orders) -> None:
    key, request = IdempotencyKey("ada", "confirmOrder", generate_id(), b""), OrderRequest(generate_id(), ORDER_BASKET)
    encoded: list[str] = []

    def encode(order: Order, bank: Bank) -> bytes:
        encoded.append(f"{len(encoded)} {order.id} {bank.id}")
        return encoded[-1].encode()

    first, repeated = [
        await usecases.create_order(orders.repository, now, derive_id, ADA, request, key, encode) for _ in range(2)
    ]
    assert (first.data, first.replayed) == (encoded[0].encode(), False)
    assert repeated == IdempotentResponse(first.data, replayed=True)


async def test_key_is_bound_to_one_request_of_one_user(rpc: OrdersRpc) -> None:
    key = generate_id()
    await create_order(rpc, build_order_request(key), ADA)
    error = await get_error(create_order(rpc, build_order_request(key), ADA))
    assert error.reason is Reason.IDEMPOTENCY_KEY_REUSED
    other_user = await create_order(rpc, build_order_request(key), EVE)
    assert not other_user.replayed


async def test_key_is_bound_to_return_url(rpc: OrdersRpc) -> None:
    request = replace(build_order_request(generate_id()), return_url="https://app.example/orders")
    first, repeated = [await create_order(rpc, request, ADA) for _ in range(2)]
    assert (repeated.replayed, repeated.payment) == (True, first.payment)
    assert first.payment is not None
    assert "return_url=https%3A%2F%2Fapp.example%2Forders%3Forder_id%3D" in first.payment.webcheckout_url
    for return_url in ("https://app.example/basket", None):
        error = await get_error(create_order(rpc, replace(request, return_url=return_url), ADA))
        assert error.reason is Reason.IDEMPOTENCY_KEY_REUSED


async def test_concurrent_confirmations_with_same_key_create_one_order(orders: Orders, rpc: OrdersRpc) -> None:
    request = build_order_request(generate_id())
    before = (await orders.execute_sql("SELECT count(*) AS n FROM orders"))[0]["n"]
    results = await asyncio.gather(*(create_order(rpc, request, ADA) for _ in range(6)), return_exceptions=True)
    responses = [result for result in results if not isinstance(result, BaseException)]
    errors = [result for result in results if isinstance(result, ApiError)]
    assert len(responses) + len(errors) == 6
    assert {error.reason for error in errors} <= {Reason.IDEMPOTENCY_KEY_BUSY}
    assert [response.replayed for response in responses].count(False) == 1
    assert (await orders.execute_sql("SELECT count(*) AS n FROM orders"))[0]["n"] == before + 1


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(requests=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=2, max_size=6))
async def test_concurrent_confirmations_agree_by_key_and_check(
    orders: Orders, rpc: OrdersRpc, requests: list[tuple[int, int]]
) -> None:
    keys, checks = [[generate_id() for _ in range(2)] for _ in range(2)]
    named = [(keys[key], checks[check]) for key, check in requests]

    async def confirm(key: str, check_id: str) -> v1.CreateOrderResponse:
        # Requests that are busy are repeated, as clients do.
        while True:
            try:
                return await create_order(rpc, build_order_request(key, check_id), ADA)
            except ApiError as error:
                if error.reason is not Reason.IDEMPOTENCY_KEY_BUSY:
                    raise

    results = await asyncio.gather(*(confirm(*each) for each in named), return_exceptions=True)
    assert {each.reason for each in results if isinstance(each, ApiError)} <= {Reason.IDEMPOTENCY_KEY_REUSED}
    for key in {key for key, _ in named}:
        responses = [
            (check_id, each)
            for (other_key, check_id), each in zip(named, results, strict=True)
            if other_key == key and not isinstance(each, BaseException)
        ]
        assert len({check_id for check_id, _ in responses}) == 1, "a key belongs to one request"
        assert len({each.order.id for _, each in responses if each.order}) == 1
        assert [each.replayed for _, each in responses].count(False) == 1
    stored = await orders.execute_sql(
        "SELECT orders.check_id, orders.id, count(order_transitions.*) AS transitions FROM orders"
        " JOIN order_transitions ON order_transitions.order_id = orders.id"
        " WHERE orders.check_id = ANY (%(checks)s) GROUP BY orders.id",
        checks=checks,
    )
    confirmed = {each.order.id for each in results if isinstance(each, v1.CreateOrderResponse) and each.order}
    assert {row["id"] for row in stored} == confirmed
    assert len({row["check_id"] for row in stored}) == len(stored)
    assert {row["transitions"] for row in stored} == {1}


async def test_request_with_locks_fails_if_one_without_locks_stored_a_response(orders: Orders, rpc: OrdersRpc) -> None:
    request, subject = build_order_request(generate_id()), generate_id()
    key = IdempotencyKey("ada", "confirmOrder", request.idempotency_key or "", b"request")

    async def insert_alert() -> None:
        async with idempotency.begin_idempotent_transaction(orders.database, key) as (transaction, response):
            await transaction.connection.execute(
                b"INSERT INTO alerts (subject, reason, at) VALUES (%(subject)s, 'X', now())", {"subject": subject}
            )
            response.data = b"response"
            assert not (await create_order(rpc, request, ADA)).replayed

    assert (await get_error(insert_alert())).reason is Reason.IDEMPOTENCY_KEY_BUSY
    assert await orders.execute_sql("SELECT 1 FROM alerts WHERE subject = %(subject)s", subject=subject) == []
    assert (await create_order(rpc, request, ADA)).replayed


async def test_second_request_while_first_is_in_progress_is_rejected(orders: Orders) -> None:
    key = IdempotencyKey("ada", "anything", generate_id(), b"request")
    started, finish = asyncio.Event(), asyncio.Event()

    async def run_slowly() -> IdempotentResponse:
        async with idempotency.begin_idempotent_transaction(orders.database, key) as (_, response):
            started.set()
            await finish.wait()
            response.data = b"first"
        return response

    async def repeat() -> IdempotentResponse:
        async with idempotency.begin_idempotent_transaction(orders.database, key) as (_, response):
            assert response.replayed, "two concurrent requests with the same key"
        return response

    first = asyncio.create_task(run_slowly())
    await started.wait()
    assert (await get_error(repeat())).reason is Reason.IDEMPOTENCY_KEY_BUSY
    finish.set()
    assert await first == IdempotentResponse(b"first", replayed=False)
    assert await repeat() == IdempotentResponse(b"first", replayed=True)


async def test_only_final_errors_are_stored(orders: Orders, rpc: OrdersRpc) -> None:
    key, check_id = generate_id(), generate_id()
    expired = await get_error(create_order(rpc, build_order_request(key, check_id, with_basket=False), ADA))
    repeated = await get_error(create_order(rpc, build_order_request(key, check_id), ADA))
    assert expired.reason is repeated.reason is Reason.CHECK_EXPIRED
    assert (expired.headers, repeated.headers) == ({}, {"Idempotency-Replayed": "true"})
    without_cache = build_order_request(generate_id(), with_basket=False)
    without_cache.cache_unavailable = True
    assert (await get_error(create_order(rpc, without_cache, ADA))).reason is Reason.UPSTREAM_UNAVAILABLE
    with_cache = build_order_request(without_cache.idempotency_key, without_cache.check_id)
    assert not (await create_order(rpc, with_cache, ADA)).replayed


async def test_failed_request_is_rolled_back(orders: Orders) -> None:
    subject = generate_id()

    key = IdempotencyKey("ada", "anything", generate_id(), b"request")

    async def insert_and_fail() -> None:
        async with idempotency.begin_idempotent_transaction(orders.database, key) as (transaction, _):
            await transaction.connection.execute(
                b"INSERT INTO alerts (subject, reason, at) VALUES (%(subject)s, 'X', now())", {"subject": subject}
            )
            raise ApiError(Reason.BANK_EXISTS)

    for _ in range(2):
        error = await get_error(insert_and_fail())
        assert error.reason is Reason.BANK_EXISTS
    assert await orders.execute_sql("SELECT 1 FROM alerts WHERE subject = %(subject)s", subject=subject) == []


async def test_key_expires_after_24_hours(orders: Orders, rpc: OrdersRpc) -> None:
    request = build_order_request(generate_id())
    await create_order(rpc, request, ADA)
    await orders.execute_sql(
        "UPDATE idempotency_keys SET at = at - interval '25 hours' WHERE key = %(key)s", key=request.idempotency_key
    )
    response = await create_order(rpc, build_order_request(request.idempotency_key), ADA)
    assert not response.replayed
    await orders.execute_sql("UPDATE idempotency_keys SET at = at - interval '25 hours'")
    assert await idempotency.delete_expired(orders.database) >= 1
    assert await idempotency.delete_expired(orders.database) == 0


async def test_bank_secret_is_returned_once_and_not_stored(orders: Orders, rpc: OrdersRpc) -> None:
    request = build_bank_request(generate_id())
    first, repeated = await create_bank(rpc, request, ROOT), await create_bank(rpc, request, ROOT)
    assert first.webhook_secret is not None
    assert first.webhook_secret.startswith("whsec_")
    assert (repeated.webhook_secret, repeated.replayed, repeated.bank) == (None, True, first.bank)
    stored = await orders.execute_sql(
        "SELECT response FROM idempotency_keys WHERE key = %(key)s", key=request.idempotency_key
    )
    assert b"whsec_" not in bytes(stored[0]["response"])
    error = await get_error(create_bank(rpc, build_bank_request(id=request.id), ROOT))
    assert error.reason is Reason.BANK_EXISTS


async def test_update_bank_requires_admin_and_current_version(rpc: OrdersRpc) -> None:
    created = await create_bank(rpc, build_bank_request(), ROOT)
    assert created.bank is not None
    update = v1.UpdateBankRequest(bank_id=created.bank.id, active=False, version=created.version)
    assert (await get_error(rpc.update_bank(update, ADA))).reason is Reason.FORBIDDEN
    updated = await rpc.update_bank(update, ROOT)
    assert updated.bank is not None
    assert (updated.bank.active, updated.bank.title, updated.version) == (False, "North", 2)
    assert (await get_error(rpc.update_bank(update, ROOT))).reason is Reason.PRECONDITION_FAILED
    inactive_bank = build_order_request(None, bank_id=created.bank.id)
    assert (await get_error(create_order(rpc, inactive_bank, ADA))).reason is Reason.BANK_UNAVAILABLE
    unknown_bank = v1.GetBankRequest(bank_id="unknown")
    assert (await get_error(rpc.get_bank(unknown_bank, ROOT))).reason is Reason.BANK_NOT_FOUND


async def test_old_bank_secret_is_valid_for_a_day_after_rotation(orders: Orders, rpc: OrdersRpc) -> None:
    created = await create_bank(rpc, build_bank_request(), ROOT)
    assert created.bank is not None
    assert created.webhook_secret is not None
    order = (await create_order(rpc, build_order_request(None, bank_id=created.bank.id), ADA)).order
    assert order is not None
    rotated = await rpc.rotate_bank_secret(v1.RotateBankSecretRequest(bank_id=created.bank.id), ROOT)
    orders.webhook_secret = created.webhook_secret
    await orders.pay(order.id, bank_id=created.bank.id)
    assert (await orders.get_order(order.id)).status is OrderStatus.PAID
    await orders.execute_sql("UPDATE banks SET old_secret_until = now() WHERE id = %(id)s", id=created.bank.id)
    with_expired_secret = await get_error(orders.pay(order.id, bank_id=created.bank.id))
    assert with_expired_secret.reason is Reason.SIGNATURE_INVALID
    orders.webhook_secret = rotated.webhook_secret
    with_new_secret = await get_error(orders.pay(order.id, bank_id=created.bank.id))
    assert with_new_secret.reason is Reason.PAYMENT_CONFLICT


async def test_list_payments_returns_pages_newest_first(orders: Orders) -> None:
    order_id = generate_id()
    records = [
        PaymentRecord(
            "visa",
            f"{order_id}-{number}",
            order_id,
            100 + number,
            "USD",
            PaymentOutcome.FAILED,
            0,
            now() + timedelta(seconds=number // 2),
        )
        for number in range(5)
    ]
    for record in records:
        await usecases.record_payment(orders.history, record)
    await usecases.record_payment(orders.history, records[0])
    payment_ids, token = [], ""
    while True:
        page = await usecases.list_payments(orders.history, ROOT, 2, token, PaymentFilter(order_id, "visa"))
        payment_ids += [record.payment_id for record in page.items]
        if page.next_page_token is None:
            break
        token = page.next_page_token
    assert sorted(payment_ids) == sorted(record.payment_id for record in records)
    assert payment_ids[0] == records[4].payment_id
    error = await get_error(usecases.list_payments(orders.history, ADA, 2, "", PaymentFilter()))
    assert error.reason is Reason.FORBIDDEN
