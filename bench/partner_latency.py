"""Latency from the payment of an order until its partner has accepted it, at a constant rate, in an open loop."""

import asyncio
import time

import httpx

from bench.mesh import PARTNER_COUNT, Mesh, build_basket
from bench.results import Row, create_informational_row, require_at_most

TARGET_RATE_PER_S, LOWER_RATES_PER_S = 50, (10, 20)
"""Orders per second of all partners together: the goal, and rates that two processors can sustain."""

MAX_P99_MS = 150
DURATION_S = 15
MAX_CONCURRENT = 8
TIMEOUT_S = 60
NOTIFICATION_LATENCY_QUERY = (
    "SELECT extract(epoch FROM o.partner_notified_at - s.at) * 1000 FROM orders o"
    " JOIN order_transitions s ON s.order_id = o.id AND s.status = 'paid'"
    " WHERE o.id = ANY(%s) AND o.partner_notified_at IS NOT NULL"
)


async def create_orders(client: httpx.AsyncClient, count: int) -> list[tuple[str, dict[str, object]]]:
    """Create orders at every partner. Return their ids and the requests of their payments."""
    semaphore = asyncio.Semaphore(MAX_CONCURRENT)

    async def create_order(partner_index: int) -> tuple[str, dict[str, object]]:
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


async def _pay_orders(
    sandbox: httpx.AsyncClient, orders: list[tuple[str, dict[str, object]]], rate_per_s: int
) -> float:
    """Pay orders at the rate, regardless of slow responses. Return the largest delay of a start in seconds."""
    started_at, max_delay_s = time.monotonic(), 0.0
    tasks = []
    for number, (_, payment) in enumerate(orders):
        due = started_at + number / rate_per_s
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        max_delay_s = max(max_delay_s, time.monotonic() - due)
        tasks.append(asyncio.create_task(sandbox.post("/checkout/visa", json=payment)))
    for response in await asyncio.gather(*tasks):
        response.raise_for_status()
    return max_delay_s


async def measure_latencies(mesh: Mesh, rate_per_s: int) -> tuple[list[float], float]:
    """Return the sorted latencies in milliseconds, and the largest delay of a payment in seconds."""
    headers = {"Authorization": f"Bearer {mesh.get_access_token()}"}
    # The server closes idle connections after some seconds, so the client must close them earlier.
    limits = httpx.Limits(max_connections=100, keepalive_expiry=1)
    async with (
        httpx.AsyncClient(base_url=mesh.config.edge_url, headers=headers, trust_env=False, timeout=30) as client,
        httpx.AsyncClient(base_url=mesh.config.sandbox_url, trust_env=False, timeout=30, limits=limits) as sandbox,
    ):
        orders = await create_orders(client, rate_per_s * DURATION_S)
        max_delay_s = await _pay_orders(sandbox, orders, rate_per_s)
    ids = [order_id for order_id, _ in orders]
    end = time.monotonic() + TIMEOUT_S
    with mesh.connect_database("orders") as connection:
        while len(latencies := connection.execute(NOTIFICATION_LATENCY_QUERY, [ids]).fetchall()) < len(ids):
            if time.monotonic() > end:
                raise TimeoutError(
                    f"{len(ids) - len(latencies)} orders were not accepted by their partner within {TIMEOUT_S} s"
                )
            await asyncio.sleep(0.2)
    return sorted(float(latency) for (latency,) in latencies), max_delay_s


def run(mesh: Mesh) -> list[Row]:
    """Measure each rate three times."""
    rows = []
    for rate in (*LOWER_RATES_PER_S, TARGET_RATE_PER_S):
        runs = [asyncio.run(measure_latencies(mesh, rate)) for _ in range(3)]
        p99 = [latencies[int(len(latencies) * 0.99)] for latencies, _ in runs]
        p50 = [latencies[len(latencies) // 2] for latencies, _ in runs]
        name = f"order-life: paid → partner has answered, at {rate} orders/s"
        rows.append(
            require_at_most(f"{name}, p99", MAX_P99_MS, p99, "ms")
            if rate == TARGET_RATE_PER_S
            else create_informational_row(f"{name}, p99", p99, "ms")
        )
        rows.append(create_informational_row(f"{name}, p50", p50, "ms"))
    return rows
