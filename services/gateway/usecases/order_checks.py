"""Order checks: baskets priced by a partner, cached until the customer confirms the order."""

from datetime import timedelta
from typing import Protocol

from generated.problems import Reason
from generated.proto.delivery.orders.v1 import CheckedBasket
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError
from services.runtime.core.ids import generate_id

CHECK_TTL = timedelta(minutes=10)
"""Lifetime of an order check."""


class OrderCheckCache(Protocol):
    """Order checks, each readable by the customer that made it, for CHECK_TTL.

    Every method raises ApiError: UPSTREAM_UNAVAILABLE. An unavailable cache is not a miss.
    """

    async def put(self, check_id: str, user_id: str, basket: CheckedBasket) -> None:
        """Store a check."""

    async def get(self, check_id: str, user_id: str) -> CheckedBasket | None:
        """Return the check; None if it does not exist or belongs to another user."""


async def save_check(cache: OrderCheckCache, clock: Clock, user_id: str, basket: CheckedBasket) -> str:
    """Store a checked basket with the time when it expires. Returns the id of the check.

    Raises ApiError: UPSTREAM_UNAVAILABLE.
    """
    check_id = generate_id()
    basket.expires_at = clock() + CHECK_TTL
    await cache.put(check_id, user_id, basket)
    return check_id


async def get_basket(cache: OrderCheckCache, clock: Clock, check_id: str, user_id: str) -> CheckedBasket:
    """Return the basket of a check.

    Raises ApiError: CHECK_EXPIRED, also for an unknown check and one of another user, UPSTREAM_UNAVAILABLE.
    """
    basket = await _find_basket(cache, clock, check_id, user_id)
    if basket is None:
        raise ApiError(Reason.CHECK_EXPIRED)
    return basket


async def load_basket(
    cache: OrderCheckCache, clock: Clock, check_id: str, user_id: str
) -> tuple[CheckedBasket | None, bool]:
    """Return the basket of a check, None on a miss, and whether the cache is unavailable."""
    try:
        return await _find_basket(cache, clock, check_id, user_id), False
    except ApiError:
        return None, True


async def _find_basket(cache: OrderCheckCache, clock: Clock, check_id: str, user_id: str) -> CheckedBasket | None:
    """Return a basket that has not expired: a client that reaches the cache could store an old entry again."""
    basket = await cache.get(check_id, user_id)
    return basket if basket is not None and basket.expires_at is not None and clock() < basket.expires_at else None
