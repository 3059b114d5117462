"""Latency from the due time of a payment until the order's partner has answered, at a constant rate, in an open loop.

The due times are those of the load generator, so that the latency contains every delay after them, that of the load
generator included. The partners service records the time of the answer, with the clock of the same machine.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import httpx

from bench.load_generator import LoadError
from bench.mesh import PARTNER_COUNT, Mesh, build_basket
from bench.results import Row, create_informational_row, require_at_most

TARGET_RATE_PER_S, LOWER_RATES_PER_S = 50, (10, 20)
"""Orders per second of all partners together: the goal, and rates that two processors can sustain."""

MAX_P99_MS = 150
DURATION_S = 15
MAX_CONCURRENT = 8
TIMEOUT_S, POLL_INTERVAL_S = 60, 0.2
MAX_LAG_S = 1
"""Lag of the load generator, above which its rate is not constant, so that the measurement is invalid."""

ANSWER_TIMES_QUERY = (
    "SELECT id, extract(epoch FROM partner_notified_at) FROM orders"
    " WHERE id = ANY(%s) AND partner_notified_at IS NOT NULL"
)
"""`partner_notified_at` is the time at which partners received the response, not that of the write in orders."""

type OrderPayment = tuple[str, dict[str, object]]
"""Id of an order, and the request of its payment."""

type ReadAnswerTimes = Callable[[Sequence[str]], Mapping[str, float]]
"""Reader of the times at which partners answered, in seconds since the epoch, by order id."""


class PaymentTimes(NamedTuple):
    """Due times of payments by order id, in seconds since the epoch, and the lag of each request behind it."""

    due_at: Mapping[str, float]
    lags_s: Sequence[float]


class Latencies(NamedTuple):
    """Sorted latencies of the orders, and sorted lags of the load generator, in milliseconds."""

    answers_ms: Sequence[float]
    lags_ms: Sequence[float]


async def create_orders(client: httpx.AsyncClient, count: int) -> list[OrderPayment]:
    """Create orders at every partner. Return their ids and the requests of their payments."""
    semaphore = asyncio.Semaphore(MAX_CONCURRENT)

    async def create_order(partner_index: int) -> OrderPayment:
        async with semaphore:
            check = (
                (await client.post("/api/v1/order-checks", json=build_basket(partner_index))).raise_for_status().json()
            )
            response = await client.post("/api/v1/orders", json={"check_id": check["check_id"]})
            confirmed = response.raise_for_status().json()
        order = confirmed["order"]
        payment = {"order_id": order["id"], "amount": order["total_amount"], "currency": "USD", "outcome": "pay"}
        return order["id"], payment | {"callback_url": confirmed["payment"]["callback_url"]}

    return await asyncio.gather(*(create_order(number % PARTNER_COUNT) for number in range(count)))


async def pay_orders(sandbox: httpx.AsyncClient, orders: Sequence[OrderPayment], rate_per_s: int) -> PaymentTimes:
    """Pay orders at the rate, regardless of slow responses. Raises LoadError if a request is much too late."""
    started_at, epoch_s = time.monotonic(), time.time()
    due_at: dict[str, float] = {}
    lags_s: list[float] = []

    async def pay(due: float, payment: dict[str, object]) -> None:
        lags_s.append(time.monotonic() - due)
        (await sandbox.post("/checkout/visa", json=payment)).raise_for_status()

    tasks = []
    for number, (order_id, payment) in enumerate(orders):
        delay_s = number / rate_per_s
        await asyncio.sleep(max(0.0, started_at + delay_s - time.monotonic()))
        due_at[order_id] = epoch_s + delay_s
        tasks.append(asyncio.create_task(pay(started_at + delay_s, payment)))
    await asyncio.gather(*tasks)
    if max(lags_s) > MAX_LAG_S:
        raise LoadError(f"{rate_per_s} payments/s: the load generator was up to {max(lags_s):.1f} s late")
    return PaymentTimes(due_at, lags_s)


async def measure_payments(
    sandbox: httpx.AsyncClient, orders: Sequence[OrderPayment], rate_per_s: int, read_answer_times: ReadAnswerTimes
) -> Latencies:
    """Pay orders at the rate, and wait for the answers of their partners. Raises LoadError or TimeoutError."""
    due_at, lags_s = await pay_orders(sandbox, orders, rate_per_s)
    end = time.monotonic() + TIMEOUT_S
    while len(answered_at := read_answer_times([*due_at])) < len(due_at):
        if time.monotonic() > end:
            missing = len(due_at) - len(answered_at)
            raise TimeoutError(f"{missing} orders were not accepted by their partner within {TIMEOUT_S} s")
        await asyncio.sleep(POLL_INTERVAL_S)
    answers_ms = sorted(1000 * (answered_at[order_id] - due) for order_id, due in due_at.items())
    return Latencies(answers_ms, sorted(1000 * lag_s for lag_s in lags_s))


async def measure_latencies(mesh: Mesh, rate_per_s: int) -> Latencies:
    """Measure new orders of all partners. Raises LoadError or TimeoutError."""
    headers = {"Authorization": f"Bearer {mesh.get_access_token()}"}
    # The server closes idle connections after some seconds, so the client must close them earlier.
    limits = httpx.Limits(max_connections=100, keepalive_expiry=1)
    async with (
        httpx.AsyncClient(base_url=mesh.config.edge_url, headers=headers, trust_env=False, timeout=30) as client,
        httpx.AsyncClient(base_url=mesh.config.sandbox_url, trust_env=False, timeout=30, limits=limits) as sandbox,
    ):
        orders = await create_orders(client, rate_per_s * DURATION_S)
        with mesh.connect_database("orders") as connection:

            def read_answer_times(order_ids: Sequence[str]) -> dict[str, float]:
                rows = connection.execute(ANSWER_TIMES_QUERY, [order_ids]).fetchall()
                return {order_id: float(answered_at) for order_id, answered_at in rows}

            return await measure_payments(sandbox, orders, rate_per_s, read_answer_times)


def run(mesh: Mesh) -> list[Row]:
    """Measure each rate three times."""
    rows = []
    for rate in (*LOWER_RATES_PER_S, TARGET_RATE_PER_S):
        runs = [asyncio.run(measure_latencies(mesh, rate)) for _ in range(3)]
        p99, p50 = ([_get_percentile(run.answers_ms, percent) for run in runs] for percent in (99, 50))
        name = f"order-life: payment due → partner has answered, at {rate} orders/s"
        rows += [
            require_at_most(f"{name}, p99", MAX_P99_MS, p99, "ms")
            if rate == TARGET_RATE_PER_S
            else create_informational_row(f"{name}, p99", p99, "ms"),
            create_informational_row(f"{name}, p50", p50, "ms"),
            create_informational_row(
                f"{name}, lag of the load generator, p99", [_get_percentile(run.lags_ms, 99) for run in runs], "ms"
            ),
        ]
    return rows


def _get_percentile(sorted_values: Sequence[float], percent: int) -> float:
    return sorted_values[len(sorted_values) * percent // 100]
