"""Notes, addresses, tips and delivery fees of orders on real servers: storage, refunds and anonymisation."""

import asyncio
from dataclasses import replace

import pytest

from services.orders import usecases
from services.orders.domain.addresses import Address, Coordinates
from services.orders.usecases import OrderRequest
from services.runtime.core.clock import now
from services.runtime.core.ids import derive_id, generate_id
from tests.integration.fixtures.orders import ADA, BASKET, Orders
from tests.wait import wait_until_async

ADDRESS = Address("1 Long Street", "Springfield", "US", postal_code="62701")


async def create_order(orders: Orders, address: Address | None, customer_id: str = "ada") -> str:
    basket = replace(BASKET, address=address, note="No onions", tip_amount=50, delivery_fee=250, total_amount=500)
    request = OrderRequest(generate_id(), basket)
    customer = replace(ADA, user_id=customer_id)
    created = await usecases.create_order(
        orders.repository, now, derive_id, customer, request, None, lambda order, _: order.id.encode()
    )
    return created.data.decode()


@pytest.mark.parametrize(
    "address", [None, ADDRESS, replace(ADDRESS, coordinates=Coordinates(39.78, -89.65))], ids=["none", "text", "full"]
)
async def test_address_note_tip_and_fee_are_stored_with_the_order(orders: Orders, address: Address | None) -> None:
    order = await orders.get_order(await create_order(orders, address))
    assert (order.address, order.note) == (address, "No onions")
    assert (order.tip_amount, order.delivery_fee, order.total_amount) == (50, 250, 500)


async def test_paid_order_with_tip_and_fee_is_refunded_whole(orders: Orders) -> None:
    order_id = await create_order(orders, None)
    await orders.pay(order_id, 500)
    await usecases.cancel_order(orders.repository, now, ADA, order_id, None)
    [refund] = await orders.execute_sql("SELECT amount FROM refunds WHERE order_id = %(id)s", id=order_id)
    assert refund["amount"] == 500


async def test_deletion_of_account_removes_address_and_note(orders: Orders) -> None:
    customer_id = generate_id()
    order_id = await create_order(orders, ADDRESS, customer_id)
    await usecases.cancel_order(orders.repository, now, replace(ADA, user_id=customer_id), order_id, None)
    await usecases.anonymise_customer(orders.repository, customer_id)
    [row] = await orders.execute_sql("SELECT * FROM orders WHERE id = %(id)s", id=order_id)
    assert (row["address"], row["note"], row["delivery_address"], row["tip_amount"]) == (None, None, "", 50)


async def test_deletion_of_account_waits_for_an_order_that_becomes_final(orders: Orders) -> None:
    customer_id = generate_id()
    order_id = await create_order(orders, ADDRESS, customer_id)
    async with orders.database.transaction() as transaction:
        # As a transition that has started before the customer was deleted, and so does not see the deletion.
        update = b"UPDATE orders SET status = 'cancelled' WHERE id = %(id)s"
        await transaction.begin()
        await transaction.connection.execute(update, {"id": order_id})
        deletion = asyncio.create_task(usecases.anonymise_customer(orders.repository, customer_id))
        await wait_until_async(lambda: is_blocked(orders))
    await deletion
    [row] = await orders.execute_sql("SELECT * FROM orders WHERE id = %(id)s", id=order_id)
    assert (row["address"], row["note"], row["customer_name"]) == (None, None, None)


async def is_blocked(orders: Orders) -> bool:
    """Return whether a statement waits for a lock of another transaction."""
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return bool(await orders.execute_sql(waiting))
