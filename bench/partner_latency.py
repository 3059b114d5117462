"""Orders are paid at a steady rate; from the payment until the partner's system has said yes."""

import asyncio
import time

import httpx

from bench.mesh import PARTNER_COUNT, Mesh, build_basket
from bench.results import Row, informational, require_at_most

TARGET_RATE_PER_S, LOWER_RATES_PER_S = 50, (10, 20)
"""Orders per second, of all partners together: what is asked for, and what two processors can do."""

DURATION_S = 15
MAX_CONCURRENT = 8
TIMEOUT_S = 60
NOTIFICATION_LATENCY_QUERY = (
    "SELECT extract(epoch FROM o.partner_notified_at - s.at) * 1000 FROM orders o"
    " JOIN order_transitions s ON s.order_id = o.id AND s.status = 'paid' WHERE o.id = ANY(%s) AND o.partner_notified_at IS NOT NULL"
)


async def _create_orders(client: httpx.AsyncClient, count: int) -> list[tuple[str, dict[str, object]]]:
    """New orders at every partner, and what their bank is told."""
    gate = asyncio.Semaphore(MAX_CONCURRENT)

    async def one(nth: int) -> tuple[str, dict[str, object]]:
        async with gate:
            check = (await client.post("/api/v1/order-checks", json=build_basket(nth))).raise_for_status().json()
            made = await client.post("/api/v1/orders", json={"check_id": check["check_id"]})
            confirmed = made.raise_for_status().json()
        order = confirmed["order"]
        pays = {"order_id": order["id"], "amount": order["total_amount"], "currency": "USD", "outcome": "pay"}
        return order["id"], pays | {"callback_url": confirmed["payment"]["callback_url"]}

    return await asyncio.gather(*(one(number % PARTNER_COUNT) for number in range(count)))


async def _pay_orders(
    sandbox: httpx.AsyncClient, orders: list[tuple[str, dict[str, object]]], rate_per_s: int
) -> float:
    """At the rate, whoever is slow; how late the last began, in seconds."""
    began, late = time.monotonic(), 0.0
    tasks = []
    for number, (_, pays) in enumerate(orders):
        due = began + number / rate_per_s
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        late = max(late, time.monotonic() - due)
        tasks.append(asyncio.create_task(sandbox.post("/checkout/visa", json=pays)))
    for answer in await asyncio.gather(*tasks):
        answer.raise_for_status()
    return late


async def measure_latencies(mesh: Mesh, rate_per_s: int) -> tuple[list[float], float]:
    """By order, milliseconds; and how late payments began, in seconds."""
    headers = {"Authorization": f"Bearer {mesh.get_access_token()}"}
    limits = httpx.Limits(max_connections=100, keepalive_expiry=1)  # servers close theirs after some seconds
    async with (
        httpx.AsyncClient(base_url=mesh.config.edge_url, headers=headers, trust_env=False, timeout=30) as client,
        httpx.AsyncClient(base_url=mesh.config.sandbox_url, trust_env=False, timeout=30, limits=limits) as sandbox,
    ):
        orders = await _create_orders(client, rate_per_s * DURATION_S)
        late = await _pay_orders(sandbox, orders, rate_per_s)
    ids = [order_id for order_id, _ in orders]
    end = time.monotonic() + TIMEOUT_S
    with mesh.connect_database("orders") as connection:
        while len(found := connection.execute(NOTIFICATION_LATENCY_QUERY, [ids]).fetchall()) < len(ids):
            if time.monotonic() > end:
                raise TimeoutError(f"{len(ids) - len(found)} partners were never told")
            await asyncio.sleep(0.2)
    return sorted(float(took) for (took,) in found), late


def run(mesh: Mesh) -> list[Row]:
    """Three runs of each rate."""
    rows = []
    for rate in (*LOWER_RATES_PER_S, TARGET_RATE_PER_S):
        runs = [asyncio.run(measure_latencies(mesh, rate)) for _ in range(3)]
        p99 = [took[int(len(took) * 0.99)] for took, _ in runs]
        p50 = [took[len(took) // 2] for took, _ in runs]
        named = f"told: paid → the partner's system told, at {rate} orders/s"
        rows.append(
            require_at_most(f"{named}, p99", 250, p99, "ms")
            if rate == TARGET_RATE_PER_S
            else informational(f"{named}, p99", p99, "ms")
        )
        rows.append(informational(f"{named}, p50", p50, "ms"))
    return rows
