"""Demo data writer on PostgreSQL."""

from dataclasses import asdict

from services.partners.adapters.postgres import tables
from services.partners.adapters.postgres.catalog_entities import PARTNERS
from services.partners.domain.partners import Availability, Partner, Product
from services.runtime.storage.database import Transaction, build_upsert


class PostgresDemoDataWriter:
    """Upserts partners, products and prices in one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def upsert_partner(self, partner: Partner) -> None:
        """Insert or overwrite a partner."""
        row = PARTNERS.build_row(partner)
        await self._transaction.execute(build_upsert(tables.partners), id=partner.id, **row)

    async def upsert_product(self, product: Product) -> None:
        """Insert or overwrite a product."""
        await self._transaction.execute(build_upsert(tables.products), **asdict(product))

    async def upsert_availability(self, partner_id: int, product_id: int, availability: Availability) -> None:
        """Insert or overwrite the price of a product at a partner."""
        await self._transaction.execute(
            build_upsert(tables.availability), partner_id=partner_id, product_id=product_id, **asdict(availability)
        )
