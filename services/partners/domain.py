"""The rules of partners: what a basket costs, and when a partner's system is called again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from generated.problems import Reason
from services.runtime.refusal import FieldError, Refusal


@dataclass(frozen=True, slots=True)
class Partner:
    """A restaurant or shop. `api_url` is where its system takes orders."""

    id: int
    title: str
    brand: str
    verified: bool
    enabled: bool
    api_url: str
    webhook_secret: bytes


@dataclass(frozen=True, slots=True)
class Line:
    """A product and how many of it, as a customer asks for it."""

    product_id: int
    quantity: int


@dataclass(frozen=True, slots=True)
class Product:
    """A product, wherever it is sold."""

    id: int
    title: str
    description: str
    picture_url: str | None


@dataclass(frozen=True, slots=True)
class Offer:
    """A product as a partner sells it; `price` is in minor units, of one piece."""

    product_id: int
    title: str
    price: int
    currency: str


@dataclass(frozen=True, slots=True)
class PricedLine:
    """A line with the partner's own price."""

    product_id: int
    title: str
    quantity: int
    price: int


def price(lines: Sequence[Line], offers: Mapping[int, Offer], total: int, currency: str) -> list[PricedLine]:
    """Prices a basket with the partner's offers, in the order asked.

    Refuses PRODUCT_UNAVAILABLE, CURRENCY_MISMATCH, and TOTAL_MISMATCH with the right total in the answer.
    """
    missing = [
        FieldError(f"/items/{index}/product_id", "is not to be had at this partner")
        for index, line in enumerate(lines)
        if line.product_id not in offers
    ]
    if missing:
        raise Refusal(Reason.PRODUCT_UNAVAILABLE, errors=missing)
    foreign = [
        FieldError(f"/items/{index}/product_id", f"is sold in {offers[line.product_id].currency}")
        for index, line in enumerate(lines)
        if offers[line.product_id].currency != currency
    ]
    if foreign:
        raise Refusal(Reason.CURRENCY_MISMATCH, errors=foreign)
    priced = [
        PricedLine(line.product_id, offers[line.product_id].title, line.quantity, offers[line.product_id].price)
        for line in lines
    ]
    right = sum(line.price * line.quantity for line in priced)
    if right != total:
        message = f"is {right} {currency} at the partner's prices"
        raise Refusal(Reason.TOTAL_MISMATCH, f"The total {message}.", errors=[FieldError("/total_amount", message)])
    return priced


SCHEDULE = tuple(
    timedelta(seconds=seconds) for seconds in (0, 5, 60, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
)
"""How long after the last try a partner's system is called again; after the last there is no more."""


def pause(attempts: int, retry_after: timedelta | None) -> timedelta | None:
    """How long to wait after so many tries, at least as long as the partner asked; None when it was the last."""
    if attempts >= len(SCHEDULE):
        return None
    return max(SCHEDULE[attempts], retry_after or timedelta(0))
