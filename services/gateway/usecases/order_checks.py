"""Order checks: baskets priced by a partner, cached until the customer confirms the order."""

from datetime import timedelta
from typing import NamedTuple, Protocol

from generated.problems import Reason
from generated.proto.delivery.orders.v1 import CheckedBasket
from generated.proto.delivery.partners.v1 import BasketItem, CheckProductsRequest, CheckProductsResponse
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError
from services.runtime.core.ids import generate_id

CHECK_TTL = timedelta(minutes=10)
"""Lifetime of an order check."""

PRICE_CHANGES = frozenset({Reason.TOTAL_MISMATCH, Reason.CURRENCY_MISMATCH})
"""Reasons of partners that do not end an order check, whose prices are valid until it expires."""


class OrderCheckCache(Protocol):
    """Order checks, each readable by the customer that made it, for CHECK_TTL.

    Every method raises ApiError: UPSTREAM_UNAVAILABLE. An unavailable cache is not a miss.
    """

    async def put(self, check_id: str, user_id: str, basket: CheckedBasket) -> None:
        """Store a check."""

    async def get(self, check_id: str, user_id: str) -> CheckedBasket | None:
        """Return the check; None if it does not exist or belongs to another user."""


class ProductChecker(Protocol):
    """Check of baskets by the partners service."""

    async def check_products(self, request: CheckProductsRequest) -> CheckProductsResponse:
        """Return the prices of a basket at its partner. Raises ApiError: the reason of a rejection."""


class Confirmation(NamedTuple):
    """Result of a confirmed check: its basket, or the reason of its rejection, or neither on a cache miss."""

    basket: CheckedBasket | None = None
    rejection: Reason | None = None
    cache_unavailable: bool = False


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


async def confirm_check(
    cache: OrderCheckCache, checker: ProductChecker, clock: Clock, check_id: str, user_id: str
) -> Confirmation:
    """Return the basket of a check if the partner and the products are still available."""
    try:
        basket = await _find_basket(cache, clock, check_id, user_id)
    except ApiError:
        return Confirmation(cache_unavailable=True)
    rejection = None if basket is None else await _find_rejection(checker, basket)
    return Confirmation(basket if rejection is None else None, rejection)


async def _find_rejection(checker: ProductChecker, basket: CheckedBasket) -> Reason | None:
    """Return the reason for which an order may not be created; changed prices are no reason."""
    if basket.partner is None:
        raise ValueError("checked basket lacks its partner")
    request = CheckProductsRequest(
        partner_id=basket.partner.id,
        items=[BasketItem(product_id=item.product_id, quantity=item.quantity) for item in basket.items],
        total_amount=basket.total_amount,
        currency=basket.currency,
        tip_amount=basket.tip_amount,
    )
    try:
        await checker.check_products(request)
    except ApiError as error:
        return None if error.reason in PRICE_CHANGES else error.reason
    return None


async def _find_basket(cache: OrderCheckCache, clock: Clock, check_id: str, user_id: str) -> CheckedBasket | None:
    """Return a basket that has not expired: a client that reaches the cache could store an old entry again."""
    basket = await cache.get(check_id, user_id)
    return basket if basket is not None and basket.expires_at is not None and clock() < basket.expires_at else None
