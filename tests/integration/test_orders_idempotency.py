"""Idempotency-Key and banks on real servers, through the service's own door."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from generated.problems import Reason
from generated.proto.delivery.orders import v1
from services.orders import usecases
from services.orders.adapters.order_change_listener import PostgresOrderChangeListener
from services.orders.domain.orders import OrderStatus
from services.orders.domain.payments import PaymentOutcome, PaymentRecord
from services.orders.entrypoints.rpc import OrdersRpc
from services.runtime.core.clock import now
from services.runtime.core.errors import ApiError
from services.runtime.core.ids import new_id
from services.runtime.core.principal import Principal
from services.runtime.storage import idempotency
from services.runtime.storage.database import Transaction
from services.runtime.storage.idempotency import IdempotencyKey
from tests.integration.fixtures.orders import ADA, ROOT, Orders

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
    changes = PostgresOrderChangeListener(orders.database.url)
    return OrdersRpc(orders.repository, orders.history, changes, orders.secret_box, now, new_id, "http://edge")


def confirm(key: str | None, check_id: str | None = None, *, lost: bool = False, bank_id: str = "visa") -> Any:
    basket = None if lost else v1.CheckedBasket(**BASKET, bank_id=bank_id)
    return v1.CreateOrderRequest(check_id=check_id or new_id(), basket=basket, idempotency_key=key)


def bank(key: str | None = None, **changed: Any) -> v1.CreateBankRequest:
    said = {"id": new_id().lower().replace("_", "-"), "title": "North", "active": True}
    urls = {"webcheckout_url": "https://bank.example/pay", "api_url": "https://bank.example/api"}
    return v1.CreateBankRequest(**(said | urls | changed), idempotency_key=key)


async def refused(work: Any) -> ApiError:
    with pytest.raises(ApiError) as raised:
        await work
    return raised.value


async def test_a_repeated_key_gets_the_first_answer_also_after_the_order_went_on(
    orders: Orders, rpc: OrdersRpc
) -> None:
    request = confirm(new_id())
    first = await rpc.create_order(request, ADA)
    assert first.order is not None
    await orders.pay(first.order.id)
    again = await rpc.create_order(confirm(request.idempotency_key, request.check_id, lost=True), ADA)
    assert (first.replayed, again.replayed) == (False, True)
    assert (again.order, again.payment) == (first.order, first.payment)


async def test_a_key_belongs_to_one_request_of_one_user(rpc: OrdersRpc) -> None:
    key = new_id()
    await rpc.create_order(confirm(key), ADA)
    assert (await refused(rpc.create_order(confirm(key), ADA))).reason is Reason.IDEMPOTENCY_KEY_REUSED
    others = await rpc.create_order(confirm(key), EVE)
    assert not others.replayed


async def test_of_concurrent_first_uses_one_makes_the_order_and_no_other_gets_through(
    orders: Orders, rpc: OrdersRpc
) -> None:
    request = confirm(new_id())
    before = (await orders.execute_sql("SELECT count(*) AS n FROM orders"))[0]["n"]
    answers = await asyncio.gather(*(rpc.create_order(request, ADA) for _ in range(6)), return_exceptions=True)
    made = [answer for answer in answers if not isinstance(answer, BaseException)]
    busy = [answer for answer in answers if isinstance(answer, ApiError)]
    assert len(made) + len(busy) == 6
    assert {refusal.reason for refusal in busy} <= {Reason.IDEMPOTENCY_KEY_BUSY}
    assert [answer.replayed for answer in made].count(False) == 1
    assert (await orders.execute_sql("SELECT count(*) AS n FROM orders"))[0]["n"] == before + 1


async def test_while_the_first_is_under_way_the_second_is_refused_and_changes_nothing(orders: Orders) -> None:
    key = IdempotencyKey("ada", "anything", new_id(), b"request")
    entered, leave = asyncio.Event(), asyncio.Event()

    async def slow(transaction: Transaction) -> bytes:
        entered.set()
        await leave.wait()
        return b"first"

    async def never(transaction: Transaction) -> bytes:
        raise AssertionError("two of one key at once")

    first = asyncio.create_task(idempotency.run_idempotently(orders.database, key, slow))
    await entered.wait()
    assert (
        await refused(idempotency.run_idempotently(orders.database, key, never))
    ).reason is Reason.IDEMPOTENCY_KEY_BUSY
    leave.set()
    assert await first == (b"first", False)
    assert await idempotency.run_idempotently(orders.database, key, never) == (b"first", True)


async def test_final_refusals_are_kept_and_others_are_not(orders: Orders, rpc: OrdersRpc) -> None:
    key, check_id = new_id(), new_id()
    gone = await refused(rpc.create_order(confirm(key, check_id, lost=True), ADA))
    again = await refused(rpc.create_order(confirm(key, check_id), ADA))
    assert gone.reason is again.reason is Reason.CHECK_EXPIRED
    assert (gone.headers, again.headers) == ({}, {"Idempotency-Replayed": "true"})
    away = confirm(new_id(), lost=True)
    away.cache_unavailable = True
    assert (await refused(rpc.create_order(away, ADA))).reason is Reason.UPSTREAM_UNAVAILABLE
    found = confirm(away.idempotency_key, away.check_id)
    assert not (await rpc.create_order(found, ADA)).replayed


async def test_what_a_refused_request_had_done_is_undone(orders: Orders) -> None:
    subject = new_id()

    async def work(transaction: Transaction) -> bytes:
        await transaction.connection.execute(
            b"INSERT INTO alerts (subject, reason, at) VALUES (%(subject)s, 'X', now())", {"subject": subject}
        )
        raise ApiError(Reason.BANK_EXISTS)

    key = IdempotencyKey("ada", "anything", new_id(), b"request")
    for _ in range(2):
        assert (await refused(idempotency.run_idempotently(orders.database, key, work))).reason is Reason.BANK_EXISTS
    assert await orders.execute_sql("SELECT 1 FROM alerts WHERE subject = %(subject)s", subject=subject) == []


async def test_a_key_is_forgotten_after_a_day(orders: Orders, rpc: OrdersRpc) -> None:
    request = confirm(new_id())
    await rpc.create_order(request, ADA)
    await orders.execute_sql(
        "UPDATE idempotency_keys SET at = at - interval '25 hours' WHERE key = %(key)s", key=request.idempotency_key
    )
    other = await rpc.create_order(confirm(request.idempotency_key), ADA)
    assert not other.replayed
    await orders.execute_sql("UPDATE idempotency_keys SET at = at - interval '25 hours'")
    assert await idempotency.delete_expired(orders.database) >= 1
    assert await idempotency.delete_expired(orders.database) == 0


async def test_a_banks_secret_is_shown_once_and_never_kept_in_an_answer(orders: Orders, rpc: OrdersRpc) -> None:
    request = bank(new_id())
    first, again = await rpc.create_bank(request, ROOT), await rpc.create_bank(request, ROOT)
    assert first.webhook_secret is not None
    assert first.webhook_secret.startswith("whsec_")
    assert (again.webhook_secret, again.replayed, again.bank) == (None, True, first.bank)
    kept = await orders.execute_sql(
        "SELECT answer FROM idempotency_keys WHERE key = %(key)s", key=request.idempotency_key
    )
    assert b"whsec_" not in bytes(kept[0]["answer"])
    assert (await refused(rpc.create_bank(bank(id=request.id), ROOT))).reason is Reason.BANK_EXISTS


async def test_a_bank_is_changed_by_admins_and_only_from_the_version_they_know(rpc: OrdersRpc) -> None:
    made = await rpc.create_bank(bank(), ROOT)
    assert made.bank is not None
    change = v1.UpdateBankRequest(bank_id=made.bank.id, active=False, version=made.version)
    assert (await refused(rpc.update_bank(change, ADA))).reason is Reason.FORBIDDEN
    changed = await rpc.update_bank(change, ROOT)
    assert changed.bank is not None
    assert (changed.bank.active, changed.bank.title, changed.version) == (False, "North", 2)
    assert (await refused(rpc.update_bank(change, ROOT))).reason is Reason.PRECONDITION_FAILED
    inactive = confirm(None, bank_id=made.bank.id)
    assert (await refused(rpc.create_order(inactive, ADA))).reason is Reason.BANK_UNAVAILABLE
    gone = v1.GetBankRequest(bank_id="nobody")
    assert (await refused(rpc.get_bank(gone, ROOT))).reason is Reason.BANK_NOT_FOUND


async def test_a_banks_old_secret_is_good_for_a_day_after_the_new_one(orders: Orders, rpc: OrdersRpc) -> None:
    made = await rpc.create_bank(bank(), ROOT)
    assert made.bank is not None
    assert made.webhook_secret is not None
    order = (await rpc.create_order(confirm(None, bank_id=made.bank.id), ADA)).order
    assert order is not None
    new = await rpc.rotate_bank_secret(v1.RotateBankSecretRequest(bank_id=made.bank.id), ROOT)
    orders.secret = made.webhook_secret
    await orders.pay(order.id, bank_id=made.bank.id)
    assert (await orders.get_order(order.id)).status is OrderStatus.PAID
    await orders.execute_sql("UPDATE banks SET old_secret_until = now() WHERE id = %(id)s", id=made.bank.id)
    stale = await refused(orders.pay(order.id, bank_id=made.bank.id))
    assert stale.reason is Reason.SIGNATURE_INVALID
    orders.secret = new.webhook_secret
    conflict = await refused(orders.pay(order.id, bank_id=made.bank.id))
    assert conflict.reason is Reason.PAYMENT_CONFLICT


async def test_payments_are_listed_newest_first_page_by_page(orders: Orders) -> None:
    order_id = new_id()
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
    seen, token = [], ""
    while True:
        page = await usecases.list_payments(orders.history, ROOT, 2, token, order_id, "visa")
        seen += [record.payment_id for record in page.items]
        if page.next_page_token is None:
            break
        token = page.next_page_token
    assert sorted(seen) == sorted(record.payment_id for record in records)
    assert seen[0] == records[4].payment_id
    assert (await refused(usecases.list_payments(orders.history, ADA, 2, "", None, None))).reason is Reason.FORBIDDEN
