"""Ports that several use cases share: repositories, and the unit of work that is composed of them."""

from collections.abc import Sequence
from typing import Protocol

from generated.events import PartnersEvent
from services.partners.domain.catalog_sorting import CatalogFilter, CatalogSort, Position, ProductSort
from services.partners.domain.partners import Availability, CatalogEntry, CatalogOffer, Partner, PartnerOffers, Product
from services.runtime.core.repository import EntityRepository, SortedEntityReader
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

    async def delete(self, key: int) -> None:
        """Delete an entity without prices."""


class CatalogReader(Protocol):
    """Read access to the products on sale at partners."""

    async def list_entries(
        self, sort: CatalogSort, after: Position | None, size: int, catalog_filter: CatalogFilter
    ) -> Sequence[CatalogEntry]:
        """Return at most `size` catalog entries after a position, in the given order."""

    async def list_offers(
        self, partner_id: int, sort: ProductSort, after: Position | None, size: int, category: str | None
    ) -> Sequence[CatalogOffer]:
        """Return at most `size` products on sale at a partner after a position, in the given order."""

    async def find_offers(self, partner_id: int, product_ids: Sequence[int]) -> PartnerOffers | None:
        """Return the partner, and those of the products that are on sale there; None for an unknown partner."""


class AvailabilityRepository(Protocol):
    """Prices of products at partners in a unit of work."""

    async def get_for_update(self, partner_id: int, product_id: int) -> Availability | None:
        """Return the availability of a product at a partner, locked; None if the partner does not sell it."""

    async def save(self, partner_id: int, product_id: int, availability: Availability) -> None:
        """Insert or update the availability of a product at a partner."""

    async def remove(self, partner_id: int, product_id: int) -> bool:
        """Delete the availability of a product at a partner. Return whether there was one."""

    async def remove_product(self, product_id: int) -> None:
        """Delete the availability of a product at all partners."""


class UnitOfWork(EventUnitOfWork[PartnersEvent], Protocol):
    """One transaction over partners, products and prices."""

    partners: CatalogEntityRepository[Partner]
    products: CatalogEntityRepository[Product]
    availability: AvailabilityRepository


class Repository(IdempotentUnitOfWorkFactory[UnitOfWork], Protocol):
    """Read access to partners, products and catalog, and the units of work that change them."""

    partners: CatalogEntityReader[Partner]
    products: CatalogEntityReader[Product]
    catalog: CatalogReader
