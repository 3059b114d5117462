"""Orders are paid at a steady rate; from the payment until the partner's system has said yes."""

import asyncio
import time

import httpx

from bench.mesh import PARTNERS, Mesh, basket
from bench.results import Row, at_most, plain

GOAL, BELOW = 50, (10, 20)
"""Orders per second, of all partners together: what is asked for, and what two processors can do."""

SECONDS = 15
AT_ONCE = 8
WAITS_S = 60
TOLD = (
    "SELECT extract(epoch FROM o.partner_told_at - s.at) * 1000 FROM orders o"
    " JOIN steps s ON s.order_id = o.id AND s.status = 'paid' WHERE o.id = ANY(%s) AND o.partner_told_at IS NOT NULL"
)


async def _orders(client: httpx.AsyncClient, count: int) -> list[tuple[str, dict[str, object]]]:
    """New orders at every partner, and what their bank is told."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(nth: int) -> tuple[str, dict[str, object]]:
        async with gate:
            check = (await client.post("/api/v1/order-checks", json=basket(nth))).raise_for_status().json()
            made = await client.post("/api/v1/orders", json={"check_id": check["check_id"]})
            confirmed = made.raise_for_status().json()
        order = confirmed["order"]
        pays = {"order_id": order["id"], "amount": order["total_amount"], "currency": "USD", "outcome": "pay"}
        return order["id"], pays | {"callback_url": confirmed["payment"]["callback_url"]}

    return await asyncio.gather(*(one(number % PARTNERS) for number in range(count)))


async def _pay(sandbox: httpx.AsyncClient, orders: list[tuple[str, dict[str, object]]], rate: int) -> float:
    """At the rate, whoever is slow; how late the last began, in seconds."""
    began, late = time.monotonic(), 0.0
    tasks = []
    for number, (_, pays) in enumerate(orders):
        due = began + number / rate
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        late = max(late, time.monotonic() - due)
        tasks.append(asyncio.create_task(sandbox.post("/checkout/visa", json=pays)))
    for answer in await asyncio.gather(*tasks):
        answer.raise_for_status()
    return late


async def measure(mesh: Mesh, rate: int) -> tuple[list[float], float]:
    """By order, milliseconds; and how late payments began, in seconds."""
    headers = {"Authorization": f"Bearer {mesh.token()}"}
    limits = httpx.Limits(max_connections=100, keepalive_expiry=1)  # servers close theirs after some seconds
    async with (
        httpx.AsyncClient(base_url=mesh.state.edge, headers=headers, trust_env=False, timeout=30) as client,
        httpx.AsyncClient(base_url=mesh.state.sandbox, trust_env=False, timeout=30, limits=limits) as sandbox,
    ):
        orders = await _orders(client, rate * SECONDS)
        late = await _pay(sandbox, orders, rate)
    ids = [order_id for order_id, _ in orders]
    end = time.monotonic() + WAITS_S
    with mesh.database("orders") as connection:
        while len(found := connection.execute(TOLD, [ids]).fetchall()) < len(ids):
            if time.monotonic() > end:
                raise TimeoutError(f"{len(ids) - len(found)} partners were never told")
            await asyncio.sleep(0.2)
    return sorted(float(took) for (took,) in found), late


def run(mesh: Mesh) -> list[Row]:
    """Three runs of each rate."""
    rows = []
    for rate in (*BELOW, GOAL):
        runs = [asyncio.run(measure(mesh, rate)) for _ in range(3)]
        p99 = [took[int(len(took) * 0.99)] for took, _ in runs]
        p50 = [took[len(took) // 2] for took, _ in runs]
        named = f"told: paid → the partner's system told, at {rate} orders/s"
        rows.append(at_most(f"{named}, p99", 250, p99, "ms") if rate == GOAL else plain(f"{named}, p99", p99, "ms"))
        rows.append(plain(f"{named}, p50", p50, "ms"))
    return rows
