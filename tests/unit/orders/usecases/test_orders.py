"""Orders from the checked basket to delivery, cancellation or expiry: permissions, idempotency and events."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from generated.problems import Reason
from generated.proto.delivery.events.v1 import (
    OrderAssigned,
    OrderCancelled,
    OrderCreated,
    OrderDelivered,
    OrderExpired,
    OrderReady,
    RefundRequested,
)
from services.orders.domain.orders import Bank, HistoryEntry, Order, OrderStatus, RefundStatus
from services.orders.usecases import orders
from services.orders.usecases.orders import BATCH_SIZE, OrderRequest
from services.runtime.core.idempotency import IdempotencyKey, IdempotentResponse
from services.runtime.core.principal import Principal
from tests.unit.fake_transactions import NOW, build_principal, raises_reason
from tests.unit.orders.fakes import ADA, ADMIN, BANK, BASKET, BOB, FakeHistory, FakeRepository, build_order

EVE = build_principal("customer", "eve")


async def create(
    repository: FakeRepository,
    request: OrderRequest,
    principal: Principal = ADA,
    key: str | None = None,
    derive_id: Callable[[str], str] = lambda _: "o1",
) -> IdempotentResponse:
    def encode(order: Order, bank: Bank) -> bytes:
        return f"{order.id} {bank.id}".encode()

    idempotency_key = None if key is None else IdempotencyKey(principal.user_id, "confirmOrder", key, b"")
    return await orders.create_order(
        repository, repository.clock, derive_id, principal, request, idempotency_key, encode
    )


async def test_order_is_created_with_event() -> None:
    repository = FakeRepository()
    response = await create(repository, OrderRequest("c1", BASKET))
    assert response == IdempotentResponse(b"o1 visa")
    assert repository.orders["o1"].status is OrderStatus.PENDING
    (event,) = repository.events
    assert isinstance(event, OrderCreated)
    assert (event.order.order_id, event.order.version, event.order.actor) == ("o1", 1, "customer:ada")


async def test_check_becomes_one_order() -> None:
    repository = FakeRepository()
    await create(repository, OrderRequest("c1", BASKET))
    rejected = OrderRequest("c1", None, rejection=Reason.PARTNER_UNAVAILABLE)
    for request in (OrderRequest("c1", BASKET), OrderRequest("c1", None), OrderRequest("c1", None, True), rejected):
        assert (await create(repository, request, derive_id=lambda _: "o2")).data == b"o1 visa"
    assert (list(repository.orders), len(repository.events)) == (["o1"], 1)


async def test_id_of_order_is_derived_from_its_check() -> None:
    repository = FakeRepository()
    for check_id in ("c1", "c2"):
        await create(repository, OrderRequest(check_id, BASKET), derive_id=lambda check_id: f"order of {check_id}")
    assert [*repository.orders] == ["order of c1", "order of c2"]


async def test_repeated_idempotency_key_replays_response() -> None:
    repository = FakeRepository()
    await create(repository, OrderRequest("c1", BASKET), key="k")
    response = await create(repository, OrderRequest("c1", None), key="k")
    assert response == IdempotentResponse(b"o1 visa", replayed=True)


@pytest.mark.parametrize(
    ("banks", "orders_reason", "request_"),
    [
        ([], Reason.BANK_UNAVAILABLE, OrderRequest("c1", BASKET)),
        ([replace(BANK, active=False)], Reason.BANK_UNAVAILABLE, OrderRequest("c1", BASKET)),
        ([BANK], Reason.CHECK_EXPIRED, OrderRequest("c1", None)),
        ([BANK], Reason.UPSTREAM_UNAVAILABLE, OrderRequest("c1", None, is_cache_unavailable=True)),
        ([BANK], Reason.PARTNER_UNAVAILABLE, OrderRequest("c1", None, rejection=Reason.PARTNER_UNAVAILABLE)),
    ],
)
async def test_order_that_cannot_be_created_raises(
    banks: list[Bank], orders_reason: Reason, request_: OrderRequest
) -> None:
    repository = FakeRepository(banks=banks)
    with raises_reason(orders_reason):
        await create(repository, request_)
    assert (repository.orders, repository.events) == ({}, [])


async def test_check_of_other_customer_has_expired() -> None:
    repository = FakeRepository()
    await create(repository, OrderRequest("c1", BASKET))
    with raises_reason(Reason.CHECK_EXPIRED):
        await create(repository, OrderRequest("c1", None), EVE)


async def test_existing_order_of_inactive_bank_is_returned() -> None:
    repository = FakeRepository()
    await create(repository, OrderRequest("c1", BASKET))
    repository.banks["visa"] = replace(BANK, active=False)
    assert (await create(repository, OrderRequest("c1", BASKET))).data == b"o1 visa"
    del repository.banks["visa"]
    with raises_reason(Reason.BANK_UNAVAILABLE):
        await create(repository, OrderRequest("c1", None))


@pytest.mark.parametrize("order_id", ["o1", "unknown"])
async def test_invisible_order_is_not_found(order_id: str) -> None:
    repository = FakeRepository(build_order())
    with raises_reason(Reason.ORDER_NOT_FOUND):
        await orders.get_order(repository, EVE, order_id)
    with raises_reason(Reason.ORDER_NOT_FOUND):
        await orders.get_history(repository, FakeHistory(), EVE, order_id, 10, "")


async def test_lists_have_no_gaps_and_no_duplicates() -> None:
    repository = FakeRepository(
        *(
            replace(
                build_order(OrderStatus.READY, f"o{index}"),
                created_at=NOW + timedelta(seconds=index // 2),
                updated_at=NOW + timedelta(seconds=index // 2),
            )
            for index in range(5)
        )
    )
    newest_first, longest_ready_first, token = [], [], ""
    while token is not None:
        page = await orders.list_orders(repository, ADMIN, 2, token, OrderStatus.READY)
        newest_first += [order.id for order in page.items]
        token = page.next_page_token
    token = ""
    while token is not None:
        page = await orders.list_available_deliveries(repository, 2, token)
        longest_ready_first += [order.id for order in page.items]
        token = page.next_page_token
    assert newest_first == ["o4", "o3", "o2", "o1", "o0"]
    assert longest_ready_first == ["o0", "o1", "o2", "o3", "o4"]


async def test_history_is_listed_by_version() -> None:
    history = FakeHistory()
    for version in (2, 1, 3):
        await orders.record_history(history, HistoryEntry("o1", version, OrderStatus.PAID, NOW, "a"))
    first = await orders.get_history(FakeRepository(build_order()), history, ADA, "o1", 2, "")
    assert [entry.version for entry in first.items] == [1, 2]
    last = await orders.get_history(FakeRepository(build_order()), history, ADA, "o1", 2, first.next_page_token or "")
    assert [entry.version for entry in last.items] == [3]


async def test_cancelled_paid_order_is_refunded() -> None:
    repository = FakeRepository(build_order(OrderStatus.PAID))
    after = await orders.cancel_order(repository, repository.clock, ADA, "o1", "why not")
    assert (after.status, after.refund_status) == (OrderStatus.CANCELLED, RefundStatus.REQUESTED)
    assert repository.orders["o1"] == after
    (refund,) = repository.refunds.values()
    assert (refund.amount, refund.payment_id) == (200, "p1")
    cancelled, requested = repository.events
    assert isinstance(cancelled, OrderCancelled)
    assert isinstance(requested, RefundRequested)
    assert (cancelled.reason, cancelled.order.actor, requested.refund_id) == ("why not", "customer:ada", refund.id)
    assert (repository.transitions[-1].actor, repository.transitions[-1].note) == ("customer:ada", "why not")


async def test_cancelled_unpaid_order_has_no_refund() -> None:
    repository = FakeRepository(build_order())
    after = await orders.cancel_order(repository, repository.clock, ADMIN, "o1", None)
    assert after.refund_status is RefundStatus.NONE
    assert repository.refunds == {}
    assert repository.transitions[-1].actor == "admin:root"


@pytest.mark.parametrize(
    ("order_id", "principal", "status", "reason"),
    [
        ("unknown", ADA, OrderStatus.PAID, Reason.ORDER_NOT_FOUND),
        ("o1", EVE, OrderStatus.PAID, Reason.ORDER_NOT_FOUND),
        ("o1", ADA, OrderStatus.READY, Reason.ORDER_STATE_CONFLICT),
        ("o1", ADMIN, OrderStatus.DELIVERING, Reason.ORDER_STATE_CONFLICT),
    ],
)
async def test_rejected_cancellation_changes_nothing(
    order_id: str, principal: Principal, status: OrderStatus, reason: Reason
) -> None:
    repository = FakeRepository(build_order(status))
    with raises_reason(reason):
        await orders.cancel_order(repository, repository.clock, principal, order_id, None)
    assert (repository.events, repository.refunds) == ([], {})


async def test_unpaid_orders_expire_after_timeout() -> None:
    young = replace(build_order(order_id="young"), created_at=NOW + timedelta(seconds=1))
    repository = FakeRepository(build_order(), young, build_order(OrderStatus.PAID, "paid"))
    repository.now = NOW + timedelta(minutes=15, seconds=1)
    assert await orders.expire_orders(repository, repository.clock, timedelta(minutes=15)) == 1
    statuses = {order.id: order.status for order in repository.orders.values()}
    assert statuses == {"o1": OrderStatus.EXPIRED, "young": OrderStatus.PENDING, "paid": OrderStatus.PAID}
    (event,) = repository.events
    assert isinstance(event, OrderExpired)
    assert event.order.actor == "system"


async def test_orders_expire_in_batches() -> None:
    repository = FakeRepository(*(build_order(order_id=f"o{index}") for index in range(BATCH_SIZE + 1)))
    repository.now = NOW + timedelta(days=1)
    sizes = [await orders.expire_orders(repository, repository.clock, timedelta(hours=1)) for _ in range(3)]
    assert sizes == [BATCH_SIZE, 1, 0]


async def test_ready_report_is_applied_once() -> None:
    repository = FakeRepository(build_order(OrderStatus.PAID))
    for _ in range(2):
        await orders.mark_order_ready(repository, repository.clock, "q", "e1", "o1", 1, "1 Market Square")
    order = repository.orders["o1"]
    assert (order.status, order.pickup_address, order.version) == (OrderStatus.READY, "1 Market Square", 2)
    (event,) = repository.events
    assert isinstance(event, OrderReady)
    assert (event.pickup_address, event.order.actor) == ("1 Market Square", "partner:1")


@pytest.mark.parametrize("status", [status for status in OrderStatus if status is not OrderStatus.PAID])
@pytest.mark.parametrize("is_ready", [True, False])
async def test_partner_event_about_order_that_is_not_paid_is_ignored(status: OrderStatus, is_ready: bool) -> None:
    repository = FakeRepository(build_order(status))
    if is_ready:
        await orders.mark_order_ready(repository, repository.clock, "q", "e1", "o1", 1, "x")
    else:
        await orders.cancel_order_for_unreachable_partner(repository, repository.clock, "q", "e1", "o1", 1, "x")
    assert (repository.orders["o1"], repository.events) == (build_order(status), [])


@pytest.mark.parametrize(("order_id", "partner_id"), [("o1", 2), ("unknown", 1)])
async def test_partner_event_about_order_of_others_is_ignored(order_id: str, partner_id: int) -> None:
    repository = FakeRepository(build_order(OrderStatus.PAID))
    await orders.mark_order_ready(repository, repository.clock, "q", "e1", order_id, partner_id, "x")
    await orders.cancel_order_for_unreachable_partner(
        repository, repository.clock, "q", "e2", order_id, partner_id, "x"
    )
    assert repository.orders["o1"] == build_order(OrderStatus.PAID)


async def test_order_of_unreachable_partner_is_cancelled_once() -> None:
    repository = FakeRepository(build_order(OrderStatus.PAID))
    for _ in range(2):
        await orders.cancel_order_for_unreachable_partner(repository, repository.clock, "q", "e1", "o1", 1, "410")
    order = repository.orders["o1"]
    assert (order.status, order.refund_status) == (OrderStatus.CANCELLED, RefundStatus.REQUESTED)
    assert (order.cancel_reason or "").endswith("410")
    assert [type(event) for event in repository.events] == [OrderCancelled, RefundRequested]


async def test_first_deliverer_wins() -> None:
    repository = FakeRepository(build_order(OrderStatus.READY))
    for _ in range(2):
        after = await orders.assign_order(repository, repository.clock, BOB, "o1")
        assert (after.status, after.deliverer_id, after.version) == (OrderStatus.DELIVERING, "bob", 2)
    with raises_reason(Reason.ORDER_STATE_CONFLICT):
        await orders.assign_order(repository, repository.clock, build_principal("deliverer", "eve"), "o1")
    (event,) = repository.events
    assert isinstance(event, OrderAssigned)
    assert (event.deliverer_id, event.order.actor) == ("bob", "deliverer:bob")


async def test_deliverer_completes_order_once() -> None:
    repository = FakeRepository(replace(build_order(OrderStatus.DELIVERING), deliverer_id="bob"))
    for _ in range(2):
        after = await orders.complete_order(repository, repository.clock, BOB, "o1")
        assert (after.status, after.version) == (OrderStatus.DELIVERED, 2)
    (event,) = repository.events
    assert isinstance(event, OrderDelivered)
    with raises_reason(Reason.ORDER_NOT_FOUND):
        await orders.complete_order(repository, repository.clock, EVE, "o1")


async def test_delivery_of_unknown_order_raises() -> None:
    repository = FakeRepository()
    with raises_reason(Reason.ORDER_NOT_FOUND):
        await orders.assign_order(repository, repository.clock, BOB, "o1")
    with raises_reason(Reason.ORDER_NOT_FOUND):
        await orders.complete_order(repository, repository.clock, BOB, "o1")


async def test_partner_notification_and_anonymisation_reach_repository() -> None:
    repository = FakeRepository(build_order())
    await orders.record_partner_notified(repository, "o1", 1, NOW)
    await orders.anonymise_customer(repository, "ada")
    assert (repository.notified, repository.anonymised_ids) == ({"o1": NOW}, {"ada"})
