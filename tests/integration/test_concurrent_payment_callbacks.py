"""Pairs of concurrent payment callbacks on a real server: their result is that of one after the other.

The first callback pauses after a read; the second runs until it ends or waits for a lock; then the first continues. A
callback that is rejected with UPSTREAM_UNAVAILABLE is repeated, as banks do.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import product
from typing import Any, NamedTuple, override

import pytest

from generated.events import EVENTS, OrdersEvent
from generated.problems import Reason
from services.orders import usecases
from services.orders.adapters.postgres.repository import PostgresRepository
from services.orders.domain.payments import Payment
from services.orders.usecases.payment_callbacks import process_payment
from services.orders.usecases.ports import Repository, UnitOfWork
from services.runtime.core.clock import now
from services.runtime.core.errors import ApiError
from services.runtime.core.ids import generate_id
from services.runtime.messaging.outbox import Outbox
from services.runtime.storage.transactions.transaction import Transaction
from tests.integration.fixtures.orders import ADA, Orders

MAX_WAIT_S = 0.1
"""Time after which the second callback is considered to wait for a lock of the first."""

CONCURRENT_PAIRS = 3
"""Pairs that run at a time. Each uses two connections of the pool."""

AMOUNTS = {"exact": 200, "excess": 234, "insufficient": 199, "failed": 200}
"""Amounts of callbacks by their kind, for an order of 200."""


class Callback(NamedTuple):
    """Callback of a bank with names instead of ids, or the cancellation of its order."""

    kind: str
    webhook: str = "w1"
    payment: str = "p1"
    order: str = "o1"


class Pause(NamedTuple):
    """Read of the first callback after which it pauses, in a transaction without or with locks."""

    method: str
    is_optimistic: bool


class State(NamedTuple):
    """Responses of both callbacks, and the rows and events that they have stored, with names instead of ids."""

    responses: tuple[str, ...]
    rows: dict[str, list[dict[str, Any]]]
    events: Counter[str]


PAUSES = (
    Pause("register_callback", is_optimistic=False),
    Pause("get_locked", is_optimistic=False),
    Pause("get_for_update", is_optimistic=False),
    Pause("get_for_update", is_optimistic=True),
)
QUERIES = {
    "orders": "SELECT id, status, version, paid_amount, refund_status, payment_id FROM orders WHERE id = ANY(%(ids)s)",
    "payments": "SELECT payment_id, order_id, amount, outcome, refund_amount FROM payments"
    " WHERE payment_id = ANY(%(ids)s)",
    "rejected": "SELECT payment_id, order_id, amount, outcome FROM rejected_payments WHERE payment_id = ANY(%(ids)s)",
    "refunds": "SELECT payment_id, order_id, amount FROM refunds WHERE payment_id = ANY(%(ids)s)",
    "callbacks": "SELECT webhook_id, payment_id, outcome FROM callbacks WHERE webhook_id = ANY(%(ids)s)",
}
EVENTS_QUERY = (
    "SELECT type FROM outbox WHERE subject = ANY(%(ids)s)"
    " OR subject IN (SELECT id FROM refunds WHERE payment_id = ANY(%(ids)s))"
)


class PausingRepository(PostgresRepository):
    """Repository that calls `on_pause` after a read, once. It begins with locks if the read is one with locks."""

    def __init__(self, orders: Orders, pause: Pause, on_pause: Callable[[], Awaitable[object]]) -> None:
        super().__init__(orders.database, Outbox[OrdersEvent](EVENTS))
        self._pause = pause
        self._pending = [on_pause]
        build_unit = self._build_unit
        self._build_unit = lambda transaction: self._add_pause(build_unit(transaction), transaction)

    def _add_pause(self, unit: UnitOfWork, transaction: Transaction) -> UnitOfWork:
        owner = unit.orders if self._pause.method == "get_for_update" else unit.payments
        read = getattr(owner, self._pause.method)

        async def read_and_pause(*arguments: Any) -> Any:
            result = await read(*arguments)
            if self._pending and transaction.is_optimistic is self._pause.is_optimistic:
                await self._pending.pop()()
            return result

        setattr(owner, self._pause.method, read_and_pause)
        return unit

    @override
    async def run_optimistically[Result](self, operation: Callable[[UnitOfWork], Awaitable[Result]]) -> Result:
        if self._pause.is_optimistic:
            return await super().run_optimistically(operation)
        async with self.unit_of_work() as unit:
            return await operation(unit)


async def perform(repository: Repository, callback: Callback, ids: dict[str, str]) -> str:
    """Process the callback; return `accepted` or the reason of its rejection."""
    kind, order_id = callback.kind, ids[callback.order]
    try:
        if kind == "cancel":
            await usecases.cancel_order(repository, now, ADA, order_id, None)
        else:
            payment = Payment("visa", ids[callback.payment], order_id, AMOUNTS[kind], "USD", kind != "failed")
            await process_payment(repository, now, payment, ids[callback.webhook])
    except ApiError as error:
        return error.reason
    return "accepted"


async def prepare(orders: Orders, *, has_failed: bool) -> dict[str, str]:
    """Place two orders, and let the first payment fail; return ids by name."""
    ids = {name: generate_id() for name in ("w0", "w1", "w2", "p1", "p2")}
    ids |= {"o1": await orders.place_order(), "o2": await orders.place_order()}
    if has_failed:
        await perform(orders.repository, Callback("failed", "w0"), ids)
    return ids


async def read_state(orders: Orders, responses: tuple[str, ...], ids: dict[str, str]) -> State:
    names = {value: name for name, value in ids.items()}
    rows = {
        table: sorted(({column: names.get(value, value) for column, value in row.items()} for row in found), key=repr)
        for table, query in QUERIES.items()
        for found in [await orders.execute_sql(query, ids=[*ids.values()])]
    }
    subjects = [*ids.values(), *(f"payment:visa:{ids[name]}" for name in ("p1", "p2"))]
    events = await orders.execute_sql(EVENTS_QUERY, ids=subjects)
    return State(responses, rows, Counter(row["type"] for row in events))


async def run_in_turn(
    orders: Orders, callbacks: tuple[Callback, Callback], turns: list[int], has_failed: bool
) -> State:
    ids = await prepare(orders, has_failed=has_failed)
    responses = {index: await perform(orders.repository, callbacks[index], ids) for index in turns}
    return await read_state(orders, (responses[0], responses[1]), ids)


async def run_concurrently(
    orders: Orders, callbacks: tuple[Callback, Callback], pause: Pause, has_failed: bool
) -> State:
    ids = await prepare(orders, has_failed=has_failed)
    second: list[asyncio.Task[str]] = []

    async def start_second() -> None:
        second.append(asyncio.create_task(perform(orders.repository, callbacks[1], ids)))
        await asyncio.wait(second, timeout=MAX_WAIT_S)

    responses = [await perform(PausingRepository(orders, pause, start_second), callbacks[0], ids)]
    if not second:
        await start_second()  # the first one has not reached the read
    responses.append(await second[0])
    for index, response in enumerate(responses):
        if response == Reason.UPSTREAM_UNAVAILABLE:
            responses[index] = await perform(orders.repository, callbacks[index], ids)
    return await read_state(orders, tuple(responses), ids)


@pytest.mark.parametrize(("payment", "has_failed"), [("p1", False), ("p1", True), ("p2", False)])
@pytest.mark.parametrize("order", ["o1", "o2"])
@pytest.mark.parametrize("webhook", ["w1", "w2"])
async def test_concurrent_callbacks_have_the_result_of_one_after_the_other(
    orders: Orders, webhook: str, order: str, payment: str, has_failed: bool
) -> None:
    semaphore = asyncio.Semaphore(CONCURRENT_PAIRS)

    async def check(callbacks: tuple[Callback, Callback]) -> None:
        async with semaphore:
            expected = [await run_in_turn(orders, callbacks, turns, has_failed) for turns in ([0, 1], [1, 0])]
            for pause in PAUSES:
                assert await run_concurrently(orders, callbacks, pause, has_failed) in expected, (callbacks, pause)

    kinds = [*AMOUNTS, *(["cancel"] if (webhook, payment) == ("w2", "p2") else [])]
    async with asyncio.TaskGroup() as group:
        for first, second in product(AMOUNTS, kinds):
            group.create_task(check((Callback(first), Callback(second, webhook, payment, order))))
