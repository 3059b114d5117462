"""Pricing and creation of orders, with the same rules as the services of the mesh."""

import os
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from bench.baselines.store import Repository, Row

PUBLIC_URL = os.environ.get("BASELINE_PUBLIC_URL", "http://127.0.0.1:8080")


class OrderError(Exception):
    """A rule is violated."""


async def price_basket(
    repository: Repository, partner_id: int, items: Sequence[Row], total: int, currency: str
) -> tuple[Row, list[Row]]:
    """Return partner and basket with the partner's prices. Raises OrderError."""
    partner, offers = await repository.find_offers(partner_id, [item["product_id"] for item in items])
    if partner is None:
        raise OrderError("PARTNER_UNAVAILABLE")
    priced = []
    for item in items:
        offer = offers.get(item["product_id"])
        if offer is None or offer["currency"] != currency:
            raise OrderError("PRODUCT_UNAVAILABLE")
        priced.append({**item, "title": offer["title"], "price": offer["price"]})
    if sum(item["price"] * item["quantity"] for item in priced) != total:
        raise OrderError("TOTAL_MISMATCH")
    return partner, priced


async def create_order(repository: Repository, check_id: str, customer_id: str, basket: Row) -> tuple[Row, Row]:
    """Create an order. Return it with its payment URLs. Raises OrderError."""
    now = datetime.now(UTC)
    order: dict[str, Any] = {
        **basket,
        "id": secrets.token_urlsafe(16),
        "check_id": check_id,
        "status": "pending",
        "customer_id": customer_id,
        "paid_amount": 0,
        "refunded_amount": 0,
        "refund_status": "none",
        "version": 1,
        "created_at": now,
        "updated_at": now,
    }
    url = await repository.create_order(order)
    if url is None:
        raise OrderError("BANK_UNAVAILABLE")
    payment = {
        "webcheckout_url": f"{url}?order_id={order['id']}&amount={order['total_amount']}",
        "callback_url": f"{PUBLIC_URL}/api/v1/callbacks/payments/{basket['bank_id']}",
    }
    del order["check_id"]
    return order, payment
