"""Latency of payments in an open loop, with a simulated bank and partner."""

import asyncio
import json
import time
from collections.abc import Sequence
from typing import cast

import httpx
import pytest

from bench import partner_latency
from bench.load_generator import LoadError
from bench.mesh import Mesh
from bench.partner_latency import Latencies, OrderPayment, measure_payments, pay_orders

RATE_PER_S = 100
BASE_URL = "http://bank.test"


def create_orders(count: int) -> list[OrderPayment]:
    """Return orders, with their id in the request of the payment."""
    return [(str(number), {"order_id": str(number)}) for number in range(count)]


def create_client(delay_s: float, answered_at: dict[str, float], blocking_s: float = 0) -> httpx.AsyncClient:
    """Return a client of a bank whose payments take effect after a delay, when the partner answers at once.

    `blocking_s` is the time for which the first payment blocks the load generator.
    """

    async def pay(request: httpx.Request) -> httpx.Response:
        if not answered_at:
            time.sleep(blocking_s)  # noqa: ASYNC251 (the event loop is blocked on purpose)
        await asyncio.sleep(delay_s)
        answered_at[json.loads(request.content)["order_id"]] = time.time()
        return httpx.Response(200)

    return httpx.AsyncClient(base_url=BASE_URL, transport=httpx.MockTransport(pay))


async def measure(delay_s: float, blocking_s: float = 0) -> Latencies:
    """Return the latencies of ten payments."""
    answered_at: dict[str, float] = {}

    def read_answer_times(order_ids: Sequence[str]) -> dict[str, float]:
        return {order_id: answered_at[order_id] for order_id in order_ids}

    async with create_client(delay_s, answered_at, blocking_s) as sandbox:
        return await measure_payments(sandbox, create_orders(10), RATE_PER_S, read_answer_times)


async def test_latency_contains_the_delay_before_orders_records_a_payment() -> None:
    latencies = await measure(delay_s=0.2)
    assert len(latencies.answers_ms) == 10
    assert latencies.answers_ms[0] >= 195
    assert latencies.answers_ms == sorted(latencies.answers_ms)


async def test_latency_contains_the_lag_of_the_load_generator() -> None:
    latencies = await measure(delay_s=0, blocking_s=0.3)
    assert latencies.lags_ms[-1] >= 195
    assert sum(latency >= 195 for latency in latencies.answers_ms) >= 9


async def test_payments_do_not_wait_for_earlier_responses() -> None:
    started_at = time.monotonic()
    async with create_client(0.5, {}) as sandbox:
        payments = await pay_orders(sandbox, create_orders(10), RATE_PER_S)
    assert time.monotonic() - started_at < 2
    due_at = [*payments.due_at.values()]
    assert due_at[-1] - due_at[0] == pytest.approx(9 / RATE_PER_S)


async def test_load_generator_that_is_much_too_late_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partner_latency, "MAX_LAG_S", 0.1)
    with pytest.raises(LoadError, match=r"100 payments/s: the load generator was up to 0\.\d s late"):
        await measure(delay_s=0, blocking_s=0.3)


async def test_order_without_an_answer_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partner_latency, "TIMEOUT_S", 0)
    async with create_client(0, {}) as sandbox:
        with pytest.raises(TimeoutError, match="2 orders were not accepted"):
            await measure_payments(sandbox, create_orders(2), RATE_PER_S, lambda _: {})


def test_lag_of_the_load_generator_is_a_row_of_each_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    async def measure_latencies(_: Mesh, rate_per_s: int) -> Latencies:
        return Latencies([*range(100)], [rate_per_s + number for number in range(100)])

    monkeypatch.setattr(partner_latency, "measure_latencies", measure_latencies)
    rows = {row.name: row for row in partner_latency.run(cast("Mesh", None))}
    for rate in (10, 20, 50):
        name = f"order-life: payment due → partner has answered, at {rate} orders/s"
        assert rows[f"{name}, p99"].value == 99
        assert rows[f"{name}, p50"].value == 50
        assert rows[f"{name}, lag of the load generator, p99"].value == rate + 99
        assert (rows[f"{name}, p99"].met is None) == (rate != 50)
