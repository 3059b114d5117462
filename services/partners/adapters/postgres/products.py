"""Products in PostgreSQL."""

from typing import override

from sqlalchemy import bindparam, delete, select

from services.partners.adapters.postgres.catalog_entities import (
    PRODUCTS,
    PostgresCatalogEntityReader,
    PostgresCatalogEntityRepository,
)
from services.partners.adapters.postgres.tables import availability, products
from services.partners.domain.partners import Product
from services.partners.usecases.ports import ProductReader, ProductRepository
from services.runtime.storage.database import Database, Statement, Transaction

_PRODUCT_PICTURES = Statement(
    select(products.c.id, products.c.picture_url)
    .where(products.c.id > bindparam("after"), products.c.picture_url.is_not(None))
    .order_by(products.c.id)
    .limit(bindparam("size"))
)
_DELETE_OFFERS = Statement(delete(availability).where(availability.c.product_id == bindparam("product_id")))
_DELETE_PRODUCT = Statement(delete(products).where(products.c.id == bindparam("product_id")))


class PostgresProductReader(PostgresCatalogEntityReader[Product], ProductReader):
    """Read access to products in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, PRODUCTS)

    @override
    async def list_pictures(self, after: int, size: int) -> list[tuple[int, str]]:
        rows = await self._database.fetch_all(_PRODUCT_PICTURES, after=after, size=size)
        return [(row["id"], row["picture_url"]) for row in rows]


class PostgresProductRepository(PostgresCatalogEntityRepository[Product], ProductRepository):
    """Products of one transaction in PostgreSQL."""

    def __init__(self, transaction: Transaction) -> None:
        super().__init__(transaction, PRODUCTS)

    @override
    async def delete(self, product_id: int) -> None:
        await self._transaction.execute(_DELETE_OFFERS, product_id=product_id)
        await self._transaction.execute(_DELETE_PRODUCT, product_id=product_id)
