"""Products in PostgreSQL."""

from typing import override

from sqlalchemy import bindparam, delete

from services.partners.adapters.postgres.catalog_entities import PRODUCTS, PostgresCatalogEntityRepository
from services.partners.adapters.postgres.tables import availability, products
from services.partners.domain.partners import Product
from services.partners.usecases.ports import ProductRepository
from services.runtime.storage.database import Statement, Transaction

_DELETE_OFFERS = Statement(delete(availability).where(availability.c.product_id == bindparam("product_id")))
_DELETE_PRODUCT = Statement(delete(products).where(products.c.id == bindparam("product_id")))


class PostgresProductRepository(PostgresCatalogEntityRepository[Product], ProductRepository):
    """Products of one transaction in PostgreSQL."""

    def __init__(self, transaction: Transaction) -> None:
        super().__init__(transaction, PRODUCTS)

    @override
    async def delete(self, product_id: int) -> None:
        await self._transaction.execute(_DELETE_OFFERS, product_id=product_id)
        await self._transaction.execute(_DELETE_PRODUCT, product_id=product_id)
