"""Ports of the use cases: repositories, unit of work and partner systems."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from generated.events import PartnersEvent
from services.partners.domain.call_policy import Call, CallState, PartnerResponse
from services.partners.domain.partners import Availability, Offer, Partner, Product
from services.runtime.concurrency.circuit_breaker import CircuitBreaker
from services.runtime.storage.idempotency import IdempotencyKey, IdempotentResponse


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """A partner with its products, by id; each has id, title, description, picture_url, price and currency."""

    id: int
    title: str
    brand: str
    address: str
    products: Sequence[Mapping[str, Any]]
    products_truncated: bool


@dataclass(frozen=True, slots=True)
class CatalogOffer:
    """A product in a partner's catalog entry; `price` is in minor units."""

    id: int
    title: str
    description: str
    picture_url: str | None
    price: int
    currency: str


class CallUnitOfWork(Protocol):
    """One transaction over the calls to partner systems."""

    async def mark_event_processed(self, queue: str, event_id: str) -> bool:
        """Mark an event as processed by a queue's consumer. Return whether it is new."""

    async def lock_order(self, order_id: str) -> None:
        """Lock the order until the transaction ends, so that calls about it are planned one at a time."""

    async def is_cancelled(self, order_id: str) -> bool:
        """Return whether the order is marked as cancelled."""

    async def mark_cancelled(self, order_id: str, at: datetime) -> None:
        """Mark an order as cancelled, whether or not a call about it exists."""

    async def add_call(self, call: Call) -> None:
        """Insert a call, unless the order already has one of this kind."""

    async def has_order_call(self, partner_id: int, order_id: str) -> bool:
        """Return whether a call about the order was planned for the partner."""

    async def get_order_call_for_update(self, order_id: str) -> Call | None:
        """Return the call of kind `order` for an order, locked."""

    async def get_call_for_update(self, call_id: str) -> Call | None:
        """Return a call, locked."""

    async def save_call(self, call: Call) -> None:
        """Update a call."""

    async def make_calls_due(self, partner_id: int, now: datetime) -> None:
        """Make every waiting call to a partner due, except leased ones."""

    async def get_breaker_for_update(self, partner_id: int) -> CircuitBreaker:
        """Return the circuit breaker of a partner, locked."""

    async def save_breaker(self, partner_id: int, breaker: CircuitBreaker) -> None:
        """Store the circuit breaker of a partner."""

    async def get_partner_for_update(self, partner_id: int) -> Partner | None:
        """Return a partner, locked."""

    async def save_partner(self, partner: Partner) -> None:
        """Update a partner."""

    async def publish(self, event: PartnersEvent) -> None:
        """Add an event to the outbox; it is published after the transaction commits."""


class UnitOfWork(CallUnitOfWork, Protocol):
    """One transaction over partners, products, prices and calls."""

    async def add_partner(self, partner: Partner) -> Partner:
        """Insert a partner and return it with its new id."""

    async def add_product(self, product: Product) -> Product:
        """Insert a product and return it with its new id."""

    async def get_product_for_update(self, product_id: int) -> Product | None:
        """Return a product, locked."""

    async def save_product(self, product: Product) -> None:
        """Update a product."""

    async def delete_product(self, product_id: int) -> None:
        """Delete a product and its prices at all partners."""

    async def lock_partner_for_share(self, partner_id: int) -> bool:
        """Return whether the partner exists; if so, it cannot be deleted until the transaction ends."""

    async def lock_product_for_share(self, product_id: int) -> bool:
        """Return whether the product exists; if so, it cannot be deleted until the transaction ends."""

    async def get_availability_for_update(self, partner_id: int, product_id: int) -> Availability | None:
        """Return the availability of a product at a partner, locked; None if the partner does not sell it."""

    async def save_availability(self, partner_id: int, product_id: int, availability: Availability) -> None:
        """Insert or update the availability of a product at a partner."""

    async def remove_availability(self, partner_id: int, product_id: int) -> bool:
        """Delete the availability of a product at a partner. Return whether there was one."""

    async def set_product_picture(self, product_id: int, picture_url: str) -> tuple[Product, str | None] | None:
        """Set the picture URL. Return the updated product and the previous URL, or None if the product is unknown."""


class Repository(Protocol):
    """Repository of partners, products, prices and calls."""

    def unit_of_work(self) -> AbstractAsyncContextManager[UnitOfWork]:
        """Open a unit of work, which commits at the end of the block and rolls back if the block raises."""

    def idempotent_unit_of_work(
        self, key: IdempotencyKey | None
    ) -> AbstractAsyncContextManager[tuple[UnitOfWork, IdempotentResponse]]:
        """Open a unit of work with the response of an earlier request with the key, or an empty one, to be set."""

    async def list_partners(self, after: int, size: int) -> list[Partner]:
        """Return at most `size` partners whose id is above `after`, by id."""

    async def list_products(self, after: int, size: int) -> list[Product]:
        """Return at most `size` products whose id is above `after`, by id."""

    async def get_product(self, product_id: int) -> Product | None:
        """Return a product."""

    async def list_partner_products(self, partner_id: int, after: int, size: int) -> list[CatalogOffer]:
        """Return at most `size` products on sale at a partner whose id is above `after`, by id."""

    async def list_calls(
        self,
        size: int,
        before: tuple[datetime, str] | None,
        partner_id: int | None,
        order_id: str | None,
        state: CallState | None,
    ) -> list[Call]:
        """Return at most `size` calls created before a time and id, newest first."""

    async def get_call(self, call_id: str) -> Call | None:
        """Return a call."""

    async def list_product_pictures(self, after: int, size: int) -> list[tuple[int, str]]:
        """Return id and picture URL of at most `size` products with a picture whose id is above `after`."""

    async def list_catalog(self, after: int, size: int, partner_id: int | None, q: str | None) -> list[CatalogEntry]:
        """Return at most `size` catalog entries whose partner id is above `after`."""

    async def get_partner(self, partner_id: int) -> Partner | None:
        """Return a partner, whether it takes orders or not."""

    async def find_offers(self, partner_id: int, product_ids: Sequence[int]) -> dict[int, Offer]:
        """Return the products that are on sale at the partner, by product id."""


class DueCallsQueue(Protocol):
    """Queue of due calls."""

    async def claim_due_calls(
        self, size: int, max_per_partner: int, now: datetime, lease_until: datetime
    ) -> list[Call]:
        """Lease due calls until `lease_until` and count one attempt for each.

        At most `max_per_partner` calls to one partner are leased at a time. A call is not leased while another call
        about the same order is leased.
        """


class PartnerSystem(Protocol):
    """Client of partner systems."""

    async def send(self, partner: Partner, call: Call) -> PartnerResponse:
        """Make one attempt at the call. Never raises for errors of the partner system or the network."""
