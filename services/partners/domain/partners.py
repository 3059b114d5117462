"""Partners, products and prices: entities and basket prices."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from generated.problems import Reason
from services.partners.domain.opening_hours import OpeningHours
from services.runtime.core.errors import ApiError, FieldError


@dataclass(frozen=True, slots=True)
class Partner:
    """A restaurant or shop. `api_url` is the base URL of its system; the webhook secrets are encrypted."""

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
    """Set when its system responds with 410. It is not called again until an admin enables the partner."""
    version: int = 1
    older_secrets: bytes | None = None
    picture_url: str | None = None
    opening_hours: OpeningHours | None = None
    delivery_fee: int = 0
    """Fee of each order, in minor units of `delivery_fee_currency`."""
    delivery_fee_currency: str = "USD"

    @property
    def is_available(self) -> bool:
        """Return whether the partner is in the catalog and, while it is open, takes orders."""
        return self.verified and self.enabled


CATALOG_FIELDS = (
    *("title", "brand", "address", "verified", "enabled"),
    *("picture_url", "opening_hours", "delivery_fee", "delivery_fee_currency"),
)
"""Fields of a partner that affect its catalog entry."""


@dataclass(frozen=True, slots=True)
class BasketLine:
    """A product and its quantity, as requested by a customer."""

    product_id: int
    quantity: int


@dataclass(frozen=True, slots=True)
class Product:
    """A product, independent of the partners that sell it."""

    id: int
    title: str
    description: str
    picture_url: str | None
    version: int = 1
    category: str | None = None


@dataclass(frozen=True, slots=True)
class Availability:
    """Price of a product at a partner, per piece and in minor units, and whether it is on sale."""

    price: int
    currency: str
    active: bool


@dataclass(frozen=True, slots=True)
class Offer:
    """A product as sold by a partner; `price` is per piece, in minor units."""

    product_id: int
    title: str
    price: int
    currency: str


class PartnerOffers(NamedTuple):
    """A partner, and some of the products that are on sale there, by product id."""

    partner: Partner
    offers: Mapping[int, Offer]


class CatalogEntry(NamedTuple):
    """A partner with its products, by id; each has id, title, description, picture_url, category, price and currency.

    `opens_at` is the time of the next opening of a closed partner, `sort_title` the key of the order by title. A page
    has many entries, and a named tuple is created in a fraction of the time of a frozen dataclass.
    """

    id: int
    title: str
    brand: str
    address: str
    picture_url: str | None
    products: Sequence[Mapping[str, Any]]
    products_truncated: bool
    opening_hours: OpeningHours | None = None
    is_open: bool = True
    opens_at: datetime | None = None
    sort_title: str = ""
    delivery_fee: int = 0
    delivery_fee_currency: str = "USD"

    def with_opening_at(self, moment: datetime) -> "CatalogEntry":
        """Return the entry with the state of its opening hours at a moment."""
        if self.opening_hours is None or self.opening_hours.is_open(moment):
            return self if self.is_open else self._replace(is_open=True, opens_at=None)
        return self._replace(is_open=False, opens_at=self.opening_hours.find_opening(moment))


@dataclass(frozen=True, slots=True)
class CatalogOffer:
    """A product in a partner's catalog entry; `price` is in minor units, `sort_title` the key of the order by title."""

    id: int
    title: str
    description: str
    picture_url: str | None
    category: str | None
    price: int
    currency: str
    sort_title: str = ""


@dataclass(frozen=True, slots=True)
class PricedLine:
    """A basket line with the partner's price per piece."""

    product_id: int
    title: str
    quantity: int
    price: int


@dataclass(frozen=True, slots=True)
class ReadyReport:
    """A partner's report that an order is ready for pickup."""

    partner_id: int
    order_id: str
    pickup_address: str

    def compute_fingerprint(self) -> bytes:
        """Return a digest of all fields, which identifies the callback independently of its JSON encoding."""
        return hashlib.sha256(msgspec.json.encode(self)).digest()


def check_basket(
    partner: Partner,
    at: datetime,
    lines: Sequence[BasketLine],
    offers: Mapping[int, Offer],
    total: int,
    currency: str,
    tip: int = 0,
) -> list[PricedLine]:
    """Return the basket lines with the prices of a partner that takes orders at a moment.

    The total contains the tip and the delivery fee of the partner.

    Raises ApiError: PARTNER_UNAVAILABLE, PARTNER_CLOSED, and those of `price_basket`.
    """
    if not partner.is_available:
        raise ApiError(Reason.PARTNER_UNAVAILABLE)
    check_is_open(partner, at)
    fee_currency = partner.delivery_fee_currency if partner.delivery_fee else currency
    return price_basket(lines, offers, total, currency, tip, partner.delivery_fee, fee_currency)


def check_is_open(partner: Partner, at: datetime) -> None:
    """Check that a partner is within its opening hours.

    Raises ApiError: PARTNER_CLOSED, whose members contain the next opening.
    """
    hours = partner.opening_hours
    if hours is None or hours.is_open(at):
        return
    opens_at = hours.find_opening(at)
    members = {} if opens_at is None else {"opens_at": f"{opens_at:%Y-%m-%dT%H:%M:%SZ}", "time_zone": hours.time_zone}
    raise ApiError(Reason.PARTNER_CLOSED, members=members)


def price_basket(
    lines: Sequence[BasketLine],
    offers: Mapping[int, Offer],
    total: int,
    currency: str,
    tip: int = 0,
    delivery_fee: int = 0,
    fee_currency: str | None = None,
) -> list[PricedLine]:
    """Return the basket lines with the partner's prices, in request order. The total contains tip and delivery fee.

    Products are checked before prices: a caller that accepts changed prices relies on available products.

    Raises ApiError: PRODUCT_UNAVAILABLE, CURRENCY_MISMATCH, or TOTAL_MISMATCH, whose members contain the correct total.
    """
    unavailable = [
        FieldError(f"lines[{index}].product_id", "is not available at this partner")
        for index, line in enumerate(lines)
        if line.product_id not in offers
    ]
    if unavailable:
        product_ids = [line.product_id for line in lines if line.product_id not in offers]
        raise ApiError(Reason.PRODUCT_UNAVAILABLE, errors=unavailable, members={"product_ids": product_ids})
    if fee_currency not in (None, currency):
        error = FieldError("currency", f"differs from the currency of the delivery fee, {fee_currency}")
        raise ApiError(Reason.CURRENCY_MISMATCH, errors=[error], members={"currency": fee_currency})
    mismatches = [
        FieldError(f"lines[{index}].product_id", f"is sold in {offers[line.product_id].currency}")
        for index, line in enumerate(lines)
        if offers[line.product_id].currency != currency
    ]
    if mismatches:
        currencies = {offers[line.product_id].currency for line in lines}
        members = {"currency": currencies.pop()} if len(currencies) == 1 else {}
        raise ApiError(Reason.CURRENCY_MISMATCH, errors=mismatches, members=members)
    priced = [
        PricedLine(line.product_id, offers[line.product_id].title, line.quantity, offers[line.product_id].price)
        for line in lines
    ]
    correct_total = sum(line.price * line.quantity for line in priced) + tip + delivery_fee
    if correct_total != total:
        raise ApiError(
            Reason.TOTAL_MISMATCH,
            errors=[FieldError("total", "does not match the partner's current prices")],
            members={"total_amount": correct_total, "delivery_fee": delivery_fee, "currency": currency},
        )
    return priced
