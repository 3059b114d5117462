"""Products in PostgreSQL."""

from dataclasses import asdict, fields, replace
from typing import override

from sqlalchemy import bindparam, delete, insert, select, update

from services.partners.adapters.postgres.tables import availability, products
from services.partners.domain.partners import Product
from services.partners.usecases.ports import ProductReader, ProductRepository
from services.runtime.storage.database import Database, Statement, Transaction

_COLUMNS = [field.name for field in fields(Product) if field.name != "id"]
_select_products = select(*(products.c[field.name] for field in fields(Product)))
_PRODUCT = Statement(_select_products.where(products.c.id == bindparam("id")), row_type=Product)
_PRODUCTS = Statement(
    _select_products.where(products.c.id > bindparam("after")).order_by(products.c.id).limit(bindparam("size")),
    row_type=Product,
)
_PRODUCT_PICTURES = Statement(
    select(products.c.id, products.c.picture_url)
    .where(products.c.id > bindparam("after"), products.c.picture_url.is_not(None))
    .order_by(products.c.id)
    .limit(bindparam("size"))
)
_PRODUCT_FOR_UPDATE = Statement(
    _select_products.where(products.c.id == bindparam("id")).with_for_update(), row_type=Product
)
_LOCK_PRODUCT_FOR_SHARE = Statement(
    select(products.c.id).where(products.c.id == bindparam("id")).with_for_update(read=True, key_share=True)
)
_ADD_PRODUCT = Statement(insert(products).values({name: bindparam(name) for name in _COLUMNS}).returning(products.c.id))
_SAVE_PRODUCT = Statement(
    update(products)
    .where(products.c.id == bindparam("product_id"))
    .values({name: bindparam(f"new_{name}") for name in _COLUMNS})
)
_DELETE_OFFERS = Statement(delete(availability).where(availability.c.product_id == bindparam("product_id")))
_DELETE_PRODUCT = Statement(delete(products).where(products.c.id == bindparam("product_id")))


class PostgresProductReader(ProductReader):
    """Read access to products in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def get(self, key: int) -> Product | None:
        return await self._database.fetch_one(_PRODUCT, id=key)

    @override
    async def list_after(self, after: int, size: int) -> list[Product]:
        return await self._database.fetch_all(_PRODUCTS, after=after, size=size)

    @override
    async def list_pictures(self, after: int, size: int) -> list[tuple[int, str]]:
        rows = await self._database.fetch_all(_PRODUCT_PICTURES, after=after, size=size)
        return [(row["id"], row["picture_url"]) for row in rows]


class PostgresProductRepository(ProductRepository):
    """Products of one transaction in PostgreSQL."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    @override
    async def get_for_update(self, key: int) -> Product | None:
        return await self._transaction.fetch_one(_PRODUCT_FOR_UPDATE, id=key)

    @override
    async def lock_for_share(self, key: int) -> bool:
        return await self._transaction.fetch_one(_LOCK_PRODUCT_FOR_SHARE, id=key) is not None

    @override
    async def add(self, entity: Product) -> Product:
        row = await self._transaction.fetch_one(_ADD_PRODUCT, **asdict(entity))
        return replace(entity, id=row["id"]) if row else entity

    @override
    async def save(self, entity: Product) -> None:
        values = {f"new_{name}": getattr(entity, name) for name in _COLUMNS}
        await self._transaction.execute(_SAVE_PRODUCT, product_id=entity.id, **values)

    @override
    async def delete(self, product_id: int) -> None:
        await self._transaction.execute(_DELETE_OFFERS, product_id=product_id)
        await self._transaction.execute(_DELETE_PRODUCT, product_id=product_id)
