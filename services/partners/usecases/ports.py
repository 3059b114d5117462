"""What the use cases of partners need of the world."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from generated.events import PartnersEvent
from services.partners.domain.call_policy import Call, CallState, CircuitBreaker, PartnerResponse
from services.partners.domain.partners import Availability, Offer, Partner, Product
from services.runtime.storage.idempotency import IdempotencyKey, StoredResponse


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


class CallUnitOfWork(Protocol):
    """One transaction over the calls to partners' systems."""

    async def mark_event_processed(self, queue: str, event_id: str) -> bool:
        """Whether this event was never consumed before; from now on it was."""

    async def lock_order(self, order_id: str) -> None:
        """Lets nobody else plan calls about this order until the transaction ends."""

    async def is_cancelled(self, order_id: str) -> bool:
        """Whether an order is known to be cancelled."""

    async def mark_cancelled(self, order_id: str, at: datetime) -> None:
        """Remembers that an order is cancelled, whether its partner was told of it or not."""

    async def add_call(self, call: Call) -> None:
        """Keeps a new call, if there is none of this kind about the order."""

    async def get_order_call_for_update(self, order_id: str) -> Call | None:
        """The call that tells of an order, locked."""

    async def get_call_for_update(self, call_id: str) -> Call | None:
        """A call, locked."""

    async def save_call(self, call: Call) -> None:
        """Keeps what a call is now."""

    async def make_calls_due(self, partner_id: int, now: datetime) -> None:
        """Makes every call to a partner due that waits, unless it is under way."""

    async def get_breaker_for_update(self, partner_id: int) -> CircuitBreaker:
        """How a partner's system did of late, locked."""

    async def save_breaker(self, partner_id: int, breaker: CircuitBreaker) -> None:
        """Keeps how a partner's system did."""

    async def get_partner_for_update(self, partner_id: int) -> Partner | None:
        """A partner, locked."""

    async def save_partner(self, partner: Partner) -> None:
        """Keeps what a partner is now."""

    async def publish(self, event: PartnersEvent) -> None:
        """Lets the event leave when the transaction has committed."""


class UnitOfWork(CallUnitOfWork, Protocol):
    """One transaction over all that partners keep."""

    async def add_partner(self, partner: Partner) -> Partner:
        """Keeps a new partner, and gives it an id."""

    async def add_product(self, product: Product) -> Product:
        """Keeps a new product, and gives it an id."""

    async def get_product_for_update(self, product_id: int) -> Product | None:
        """A product, locked."""

    async def save_product(self, product: Product) -> None:
        """Keeps what a product is now."""

    async def delete_product(self, product_id: int) -> None:
        """Deletes a product, and what it costs anywhere."""

    async def lock_partner_for_share(self, partner_id: int) -> bool:
        """Whether there is such a partner, and it stays until the transaction ends."""

    async def lock_product_for_share(self, product_id: int) -> bool:
        """Whether there is such a product, and it stays until the transaction ends."""

    async def get_availability_for_update(self, partner_id: int, product_id: int) -> Availability | None:
        """What a product costs at a partner; None when it is not sold there."""

    async def save_availability(self, partner_id: int, product_id: int, availability: Availability) -> None:
        """Keeps what a product costs at a partner."""

    async def remove_availability(self, partner_id: int, product_id: int) -> bool:
        """Forgets what a product costs at a partner; False when it was not sold there."""

    async def set_product_picture(self, product_id: int, picture_url: str) -> tuple[Product, str | None] | None:
        """The product as it is now, and where its picture was; None when there is no such product."""


class Repository(Protocol):
    """Where partners are kept."""

    def unit_of_work(self) -> AbstractAsyncContextManager[UnitOfWork]:
        """Commits at the end of the block, rolls back when it raises."""

    async def run_idempotently(
        self, key: IdempotencyKey | None, work: Callable[[UnitOfWork], Awaitable[bytes]]
    ) -> StoredResponse:
        """Does the work in a unit, or gives the first answer to the key again."""

    async def list_partners(self, after: int, size: int) -> list[Partner]:
        """Partners above `after`, by id."""

    async def list_products(self, after: int, size: int) -> list[Product]:
        """Products above `after`, by id."""

    async def get_product(self, product_id: int) -> Product | None:
        """A product."""

    async def list_partner_products(self, partner_id: int, after: int, size: int) -> list[CatalogOffer]:
        """What a partner sells now, above `after`, by id."""

    async def list_calls(
        self,
        size: int,
        before: tuple[datetime, str] | None,
        partner_id: int | None,
        order_id: str | None,
        state: CallState | None,
    ) -> list[Call]:
        """Calls made before a time and an id, newest first."""

    async def get_call(self, call_id: str) -> Call | None:
        """A call."""

    async def list_product_pictures(self, after: int, size: int) -> list[tuple[int, str]]:
        """Products above `after` that have a picture, each with where it is."""

    async def list_catalog(self, after: int, size: int, partner_id: int | None, q: str | None) -> list[CatalogEntry]:
        """At most `size` entries whose id is above `after`."""

    async def get_partner(self, partner_id: int) -> Partner | None:
        """The partner, whether it takes orders or not."""

    async def find_offers(self, partner_id: int, product_ids: Sequence[int]) -> dict[int, Offer]:
        """Those of the products that the partner sells now."""

    async def was_sent_to_partner(self, partner_id: int, order_id: str) -> bool:
        """Whether the order was ever given to the partner."""


class DueCallsQueue(Protocol):
    """The calls that are to be made now."""

    async def claim_due_calls(
        self, size: int, max_per_partner: int, now: datetime, lease_until: datetime
    ) -> list[Call]:
        """Calls that are due, which nobody else gets until `until`; each counts as one more attempt.

        No partner has more than `per_partner` under way, and no call overtakes an earlier one about the same order.
        """


class PartnerSystem(Protocol):
    """How a partner's system is reached."""

    async def send(self, partner: Partner, call: Call) -> PartnerResponse:
        """Asks once. Never raises for what the partner or the network does."""
