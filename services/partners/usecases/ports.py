"""What the use cases of partners need of the world."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from generated.events import PartnersEvent
from services.partners.domain import Availability, Offer, Partner, Product
from services.partners.retries import Answer, Breaker, Call, CallState
from services.runtime.idempotency import Kept, Key


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """A partner with its products by id; each has id, title, description, picture_url, price and currency."""

    id: int
    title: str
    brand: str
    address: str
    products: Sequence[Mapping[str, Any]]
    products_truncated: bool


@dataclass(frozen=True, slots=True)
class CatalogOffer:
    """A product as customers see it at a partner; `price` is in minor units."""

    id: int
    title: str
    description: str
    picture_url: str | None
    price: int
    currency: str


class CallsUnit(Protocol):
    """One transaction over the calls to partners' systems."""

    async def first_event(self, queue: str, event_id: str) -> bool:
        """Whether this event was never consumed before; from now on it was."""

    async def lock_order(self, order_id: str) -> None:
        """Lets nobody else plan calls about this order until the transaction ends."""

    async def is_cancelled(self, order_id: str) -> bool:
        """Whether an order is known to be cancelled."""

    async def mark_cancelled(self, order_id: str, at: datetime) -> None:
        """Remembers that an order is cancelled, whether its partner was told of it or not."""

    async def add_call(self, call: Call) -> None:
        """Keeps a new call, if there is none of this kind about the order."""

    async def order_call(self, order_id: str) -> Call | None:
        """The call that tells of an order, locked."""

    async def call(self, call_id: str) -> Call | None:
        """A call, locked."""

    async def put_call(self, call: Call) -> None:
        """Keeps what a call is now."""

    async def hurry_calls(self, partner_id: int, now: datetime) -> None:
        """Makes every call to a partner due that waits, unless it is under way."""

    async def breaker(self, partner_id: int) -> Breaker:
        """How a partner's system did of late, locked."""

    async def put_breaker(self, partner_id: int, breaker: Breaker) -> None:
        """Keeps how a partner's system did."""

    async def partner(self, partner_id: int) -> Partner | None:
        """A partner, locked."""

    async def put_partner(self, partner: Partner) -> None:
        """Keeps what a partner is now."""

    async def publish(self, event: PartnersEvent) -> None:
        """Lets the event leave when the transaction has committed."""


class Unit(CallsUnit, Protocol):
    """One transaction over all that partners keep."""

    async def add_partner(self, partner: Partner) -> Partner:
        """Keeps a new partner, and gives it an id."""

    async def add_product(self, product: Product) -> Product:
        """Keeps a new product, and gives it an id."""

    async def product(self, product_id: int) -> Product | None:
        """A product, locked."""

    async def put_product(self, product: Product) -> None:
        """Keeps what a product is now."""

    async def delete_product(self, product_id: int) -> None:
        """Deletes a product, and what it costs anywhere."""

    async def keep_partner(self, partner_id: int) -> bool:
        """Whether there is such a partner, and it stays until the transaction ends."""

    async def keep_product(self, product_id: int) -> bool:
        """Whether there is such a product, and it stays until the transaction ends."""

    async def availability(self, partner_id: int, product_id: int) -> Availability | None:
        """What a product costs at a partner; None when it is not sold there."""

    async def put_availability(self, partner_id: int, product_id: int, availability: Availability) -> None:
        """Keeps what a product costs at a partner."""

    async def remove_availability(self, partner_id: int, product_id: int) -> bool:
        """Forgets what a product costs at a partner; False when it was not sold there."""

    async def set_product_picture(self, product_id: int, picture_url: str) -> tuple[Product, str | None] | None:
        """The product as it is now, and where its picture was; None when there is no such product."""


class Store(Protocol):
    """Where partners are kept."""

    def unit(self) -> AbstractAsyncContextManager[Unit]:
        """Commits at the end of the block, rolls back when it raises."""

    async def once(self, key: Key | None, work: Callable[[Unit], Awaitable[bytes]]) -> Kept:
        """Does the work in a unit, or gives the first answer to the key again."""

    async def partners(self, after: int, size: int) -> list[Partner]:
        """Partners above `after`, by id."""

    async def products(self, after: int, size: int) -> list[Product]:
        """Products above `after`, by id."""

    async def product(self, product_id: int) -> Product | None:
        """A product."""

    async def partner_products(self, partner_id: int, after: int, size: int) -> list[CatalogOffer]:
        """What a partner sells now, above `after`, by id."""

    async def calls(
        self,
        size: int,
        before: tuple[datetime, str] | None,
        partner_id: int | None,
        order_id: str | None,
        state: CallState | None,
    ) -> list[Call]:
        """Calls made before a time and an id, newest first."""

    async def call(self, call_id: str) -> Call | None:
        """A call."""

    async def product_pictures(self, after: int, size: int) -> list[tuple[int, str]]:
        """Products above `after` that have a picture, each with where it is."""

    async def catalog(self, after: int, size: int, partner_id: int | None, q: str | None) -> list[CatalogEntry]:
        """At most `size` entries whose id is above `after`."""

    async def partner(self, partner_id: int) -> Partner | None:
        """The partner, whether it takes orders or not."""

    async def offers(self, partner_id: int, product_ids: Sequence[int]) -> dict[int, Offer]:
        """Those of the products that the partner sells now."""

    async def has_order(self, partner_id: int, order_id: str) -> bool:
        """Whether the order was ever given to the partner."""


class CallsDue(Protocol):
    """The calls that are to be made now."""

    async def take_calls(self, size: int, per_partner: int, now: datetime, until: datetime) -> list[Call]:
        """Calls that are due, which nobody else gets until `until`; each counts as one more attempt.

        No partner has more than `per_partner` under way, and no call overtakes an earlier one about the same order.
        """


class PartnerSystem(Protocol):
    """How a partner's system is reached."""

    async def send(self, partner: Partner, call: Call) -> Answer:
        """Asks once. Never raises for what the partner or the network does."""
