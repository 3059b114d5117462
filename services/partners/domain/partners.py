"""The rules of partners and what they sell: what a basket costs, and which changes customers see."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from generated.problems import Reason
from services.runtime.core.errors import ApiError, FieldError

SECRET_OVERLAP = timedelta(hours=24)
"""How long a secret is good after the next was made."""


@dataclass(frozen=True, slots=True)
class Partner:
    """A restaurant or shop. `api_url` is where its system takes orders; secrets are encrypted."""

    id: int
    title: str
    brand: str
    phone: str
    email: str
    address: str
    api_url: str
    verified: bool
    enabled: bool
    webhook_secret: bytes
    old_secret: bytes | None = None
    old_secret_until: datetime | None = None
    gone: bool = False
    """Whether its system said that it is gone; it is not called until somebody enables the partner again."""
    version: int = 1

    @property
    def is_open(self) -> bool:
        """Whether customers see it."""
        return self.verified and self.enabled

    def active_encrypted_secrets(self, now: datetime) -> list[bytes]:
        """The secrets that are good now, the newest first."""
        if self.old_secret is None or self.old_secret_until is None or self.old_secret_until <= now:
            return [self.webhook_secret]
        return [self.webhook_secret, self.old_secret]


CATALOG_FIELDS = ("title", "brand", "address", "verified", "enabled")
"""What a change of concerns the catalog."""


@dataclass(frozen=True, slots=True)
class BasketLine:
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
    version: int = 1


@dataclass(frozen=True, slots=True)
class Availability:
    """What a product costs at a partner, in minor units, of one piece."""

    price: int
    currency: str
    active: bool


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


def price_basket(
    lines: Sequence[BasketLine], offers: Mapping[int, Offer], total: int, currency: str
) -> list[PricedLine]:
    """Prices a basket with the partner's offers, in the order asked.

    Refuses PRODUCT_UNAVAILABLE, CURRENCY_MISMATCH, and TOTAL_MISMATCH with the right total in the answer.
    """
    missing = [
        FieldError(f"/items/{index}/product_id", "is not to be had at this partner")
        for index, line in enumerate(lines)
        if line.product_id not in offers
    ]
    if missing:
        raise ApiError(Reason.PRODUCT_UNAVAILABLE, errors=missing)
    foreign = [
        FieldError(f"/items/{index}/product_id", f"is sold in {offers[line.product_id].currency}")
        for index, line in enumerate(lines)
        if offers[line.product_id].currency != currency
    ]
    if foreign:
        raise ApiError(Reason.CURRENCY_MISMATCH, errors=foreign)
    priced = [
        PricedLine(line.product_id, offers[line.product_id].title, line.quantity, offers[line.product_id].price)
        for line in lines
    ]
    right = sum(line.price * line.quantity for line in priced)
    if right != total:
        message = f"is {right} {currency} at the partner's prices"
        raise ApiError(Reason.TOTAL_MISMATCH, f"The total {message}.", errors=[FieldError("/total_amount", message)])
    return priced
