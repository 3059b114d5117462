"""Ports that several use cases share: repositories, and the unit of work that is composed of them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from generated.events import PartnersEvent
from services.partners.domain.call_policy import Call, CallFilter
from services.partners.domain.partners import Availability, CatalogEntry, CatalogOffer, Offer, Partner, Product
from services.runtime.concurrency.circuit_breaker import CircuitBreaker
from services.runtime.core.repository import EntityReader, EntityRepository, SortedEntityReader, TimeKey
from services.runtime.core.unit_of_work import EventUnitOfWork, IdempotentUnitOfWorkFactory


class CatalogEntityReader[Entity](SortedEntityReader[int, Entity], Protocol):
    """Read access to partners or products."""

    async def list_pictures(self, after: int, size: int) -> Sequence[tuple[int, str]]:
        """Return id and picture URL of at most `size` entities with a picture whose id is above `after`, by id."""


class CatalogEntityRepository[Entity](EntityRepository[int, Entity], Protocol):
    """Partners or products in a unit of work."""

    async def lock_for_share(self, key: int) -> bool:
        """Return whether the entity exists; if so, it cannot be deleted until the unit of work ends."""

    async def add(self, entity: Entity) -> Entity:
        """Insert an entity and return it with its new id."""


class ProductRepository(CatalogEntityRepository[Product], Protocol):
    """Products in a unit of work."""

    async def delete(self, product_id: int) -> None:
        """Delete a product and its prices at all partners."""


class CatalogReader(Protocol):
    """Read access to the products on sale at partners."""

    async def list_entries(
        self, after: int, size: int, partner_id: int | None, q: str | None
    ) -> Sequence[CatalogEntry]:
        """Return at most `size` catalog entries whose partner id is above `after`, by partner id."""

    async def list_offers(self, partner_id: int, after: int, size: int) -> Sequence[CatalogOffer]:
        """Return at most `size` products on sale at a partner whose id is above `after`, by id."""

    async def find_offers(self, partner_id: int, product_ids: Sequence[int]) -> Mapping[int, Offer]:
        """Return those of the products that are on sale at the partner, by product id."""


class AvailabilityRepository(Protocol):
    """Prices of products at partners in a unit of work."""

    async def get_for_update(self, partner_id: int, product_id: int) -> Availability | None:
        """Return the availability of a product at a partner, locked; None if the partner does not sell it."""

    async def save(self, partner_id: int, product_id: int, availability: Availability) -> None:
        """Insert or update the availability of a product at a partner."""

    async def remove(self, partner_id: int, product_id: int) -> bool:
        """Delete the availability of a product at a partner. Return whether there was one."""


class CallReader(EntityReader[str, Call], Protocol):
    """Read access to calls to partner systems."""

    async def list_before(self, before: TimeKey | None, size: int, call_filter: CallFilter) -> Sequence[Call]:
        """Return at most `size` calls created before a key, newest first."""


class CallRepository(EntityRepository[str, Call], Protocol):
    """Calls to partner systems in a unit of work."""

    async def add(self, call: Call) -> None:
        """Insert a call, unless the order already has one of this kind."""

    async def get_order_call_for_update(self, order_id: str) -> Call | None:
        """Return the call of kind `order` for an order, locked."""

    async def make_due(self, partner_id: int, now: datetime) -> None:
        """Make every waiting call to a partner due, except leased ones."""

    async def lock_order(self, order_id: str) -> None:
        """Lock the order until the transaction ends, so that calls about it are planned one at a time."""

    async def is_cancelled(self, order_id: str) -> bool:
        """Return whether the order is marked as cancelled."""

    async def mark_cancelled(self, order_id: str, at: datetime) -> None:
        """Mark an order as cancelled, whether or not a call about it exists."""


class BreakerRepository(Protocol):
    """Circuit breakers of partners in a unit of work."""

    async def get_for_update(self, partner_id: int) -> CircuitBreaker:
        """Return the circuit breaker of a partner, locked."""

    async def save(self, partner_id: int, breaker: CircuitBreaker) -> None:
        """Store the circuit breaker of a partner."""


class UnitOfWork(EventUnitOfWork[PartnersEvent], Protocol):
    """One transaction over partners, products, prices and calls."""

    partners: CatalogEntityRepository[Partner]
    products: ProductRepository
    availability: AvailabilityRepository
    calls: CallRepository
    breakers: BreakerRepository


class Repository(IdempotentUnitOfWorkFactory[UnitOfWork], Protocol):
    """Read access to partners, products, catalog and calls, and the units of work that change them."""

    partners: CatalogEntityReader[Partner]
    products: CatalogEntityReader[Product]
    catalog: CatalogReader
    calls: CallReader
