"""Upserts of partners, products and prices in PostgreSQL."""

from dataclasses import asdict
from typing import override

from services.partners.adapters.postgres import tables
from services.partners.adapters.postgres.catalog_entities import PARTNERS
from services.partners.domain.partners import Availability, Partner, Product
from services.partners.usecases.catalog_import import CatalogWriter
from services.runtime.storage.statements.statement import build_upsert
from services.runtime.storage.transactions.transaction import Transaction


class PostgresCatalogWriter(CatalogWriter):
    """Upserts of one transaction in PostgreSQL."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    @override
    async def upsert_partner(self, partner: Partner) -> None:
        row = PARTNERS.build_row(partner)
        await self._transaction.execute(build_upsert(tables.partners), id=partner.id, **row)

    @override
    async def upsert_product(self, product: Product) -> None:
        await self._transaction.execute(build_upsert(tables.products), **asdict(product))

    @override
    async def upsert_availability(self, partner_id: int, product_id: int, availability: Availability) -> None:
        await self._transaction.execute(
            build_upsert(tables.availability), partner_id=partner_id, product_id=product_id, **asdict(availability)
        )
