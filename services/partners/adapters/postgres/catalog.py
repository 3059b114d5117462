"""Changes of partners, products and prices in PostgreSQL."""

from dataclasses import asdict, fields, replace

from sqlalchemy import bindparam, delete, insert, select, update

from services.partners.adapters.postgres.partner_calls import PostgresCallUnitOfWork
from services.partners.adapters.postgres.tables import availability, partners, products
from services.partners.domain.partners import Availability, Partner, Product
from services.runtime.storage.database import Statement, build_upsert


def _bind_columns(columns: list[str]) -> dict[str, object]:
    return {name: bindparam(name) for name in columns}


_PARTNER_COLUMNS = [field.name for field in fields(Partner) if field.name != "id"]
_PRODUCT_COLUMNS = [field.name for field in fields(Product) if field.name != "id"]
_ADD_PARTNER = Statement(insert(partners).values(_bind_columns(_PARTNER_COLUMNS)).returning(partners.c.id))
_ADD_PRODUCT = Statement(insert(products).values(_bind_columns(_PRODUCT_COLUMNS)).returning(products.c.id))
_PRODUCT_FOR_UPDATE = Statement(
    select(*(products.c[field.name] for field in fields(Product)))
    .where(products.c.id == bindparam("id"))
    .with_for_update(),
    row_type=Product,
)
_SAVE_PRODUCT = Statement(
    update(products)
    .where(products.c.id == bindparam("product_id"))
    .values({name: bindparam(f"new_{name}") for name in _PRODUCT_COLUMNS})
)
_DELETE_OFFERS = Statement(delete(availability).where(availability.c.product_id == bindparam("product_id")))
_DELETE_PRODUCT = Statement(delete(products).where(products.c.id == bindparam("product_id")))
_LOCK_PARTNER_FOR_SHARE = Statement(
    select(partners.c.id).where(partners.c.id == bindparam("id")).with_for_update(read=True, key_share=True)
)
_LOCK_PRODUCT_FOR_SHARE = Statement(
    select(products.c.id).where(products.c.id == bindparam("id")).with_for_update(read=True, key_share=True)
)
_matches_ids = (availability.c.partner_id == bindparam("partner"), availability.c.product_id == bindparam("product"))
_AVAILABILITY_FOR_UPDATE = Statement(
    select(*(availability.c[field.name] for field in fields(Availability))).where(*_matches_ids).with_for_update(),
    row_type=Availability,
)
_SAVE_AVAILABILITY = build_upsert(availability)
_REMOVE_AVAILABILITY = Statement(delete(availability).where(*_matches_ids))


class PostgresCatalogUnitOfWork(PostgresCallUnitOfWork):
    """One transaction over partners, products and prices."""

    async def add_partner(self, partner: Partner) -> Partner:
        """Insert a partner and return it with its new id."""
        row = await self._transaction.fetch_one(_ADD_PARTNER, **asdict(partner))
        return replace(partner, id=row["id"]) if row else partner

    async def add_product(self, product: Product) -> Product:
        """Insert a product and return it with its new id."""
        row = await self._transaction.fetch_one(_ADD_PRODUCT, **asdict(product))
        return replace(product, id=row["id"]) if row else product

    async def get_product_for_update(self, product_id: int) -> Product | None:
        """Return a product, locked."""
        return await self._transaction.fetch_one(_PRODUCT_FOR_UPDATE, id=product_id)

    async def save_product(self, product: Product) -> None:
        """Update a product."""
        values = {f"new_{name}": getattr(product, name) for name in _PRODUCT_COLUMNS}
        await self._transaction.execute(_SAVE_PRODUCT, product_id=product.id, **values)

    async def delete_product(self, product_id: int) -> None:
        """Delete a product and its prices at all partners."""
        await self._transaction.execute(_DELETE_OFFERS, product_id=product_id)
        await self._transaction.execute(_DELETE_PRODUCT, product_id=product_id)

    async def lock_partner_for_share(self, partner_id: int) -> bool:
        """Return whether the partner exists; if so, it cannot be deleted until the transaction ends."""
        return await self._transaction.fetch_one(_LOCK_PARTNER_FOR_SHARE, id=partner_id) is not None

    async def lock_product_for_share(self, product_id: int) -> bool:
        """Return whether the product exists; if so, it cannot be deleted until the transaction ends."""
        return await self._transaction.fetch_one(_LOCK_PRODUCT_FOR_SHARE, id=product_id) is not None

    async def get_availability_for_update(self, partner_id: int, product_id: int) -> Availability | None:
        """Return the availability of a product at a partner, locked; None if the partner does not sell it."""
        return await self._transaction.fetch_one(_AVAILABILITY_FOR_UPDATE, partner=partner_id, product=product_id)

    async def save_availability(self, partner_id: int, product_id: int, availability: Availability) -> None:
        """Insert or update the availability of a product at a partner."""
        await self._transaction.execute(
            _SAVE_AVAILABILITY, partner_id=partner_id, product_id=product_id, **asdict(availability)
        )

    async def remove_availability(self, partner_id: int, product_id: int) -> bool:
        """Delete the availability of a product at a partner. Return whether there was one."""
        return await self._transaction.execute(_REMOVE_AVAILABILITY, partner=partner_id, product=product_id) == 1
