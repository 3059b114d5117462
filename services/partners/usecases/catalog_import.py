"""Import of partners, products and prices with fixed ids."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from services.partners.domain.partners import Availability, Partner, Product
from services.runtime.core.unit_of_work import UnitOfWorkFactory


class CatalogWriter(Protocol):
    """One transaction that writes entities with fixed ids. An existing one is overwritten, without an event."""

    async def upsert_partner(self, partner: Partner) -> None:
        """Insert or overwrite a partner."""

    async def upsert_product(self, product: Product) -> None:
        """Insert or overwrite a product."""

    async def upsert_availability(self, partner_id: int, product_id: int, availability: Availability) -> None:
        """Insert or overwrite the price of a product at a partner."""


async def upsert_catalog(
    repository: UnitOfWorkFactory[CatalogWriter],
    partners: Iterable[Partner],
    products: Iterable[Product],
    prices: Mapping[tuple[int, int], Availability],
) -> None:
    """Insert or overwrite partners, whose webhook secrets are encrypted, products, and prices by both ids."""
    async with repository.unit_of_work() as writer:
        for partner in partners:
            await writer.upsert_partner(partner)
        for product in products:
            await writer.upsert_product(product)
        for (partner_id, product_id), availability in prices.items():
            await writer.upsert_availability(partner_id, product_id, availability)
