"""Partners, products and prices in PostgreSQL, as admins change them."""

from dataclasses import asdict, fields, replace

from sqlalchemy import bindparam, delete, insert, select, update

from services.partners.calls_store import CallsUnit
from services.partners.domain import Availability, Partner, Product
from services.partners.tables import availability, partners, products
from services.runtime.database import Statement, upsert


def _given(names: list[str]) -> dict[str, object]:
    return {name: bindparam(name) for name in names}


_PARTNER = [field.name for field in fields(Partner) if field.name != "id"]
_PRODUCT = [field.name for field in fields(Product) if field.name != "id"]
_ADD_PARTNER = Statement(insert(partners).values(_given(_PARTNER)).returning(partners.c.id))
_ADD_PRODUCT = Statement(insert(products).values(_given(_PRODUCT)).returning(products.c.id))
_PRODUCT_LOCKED = Statement(
    select(*(products.c[field.name] for field in fields(Product)))
    .where(products.c.id == bindparam("id"))
    .with_for_update(),
    into=Product,
)
_PUT_PRODUCT = Statement(
    update(products)
    .where(products.c.id == bindparam("product_id"))
    .values({name: bindparam(f"new_{name}") for name in _PRODUCT})
)
_DELETE_OFFERS = Statement(delete(availability).where(availability.c.product_id == bindparam("product_id")))
_DELETE_PRODUCT = Statement(delete(products).where(products.c.id == bindparam("product_id")))
_KEEP_PARTNER = Statement(
    select(partners.c.id).where(partners.c.id == bindparam("id")).with_for_update(read=True, key_share=True)
)
_KEEP_PRODUCT = Statement(
    select(products.c.id).where(products.c.id == bindparam("id")).with_for_update(read=True, key_share=True)
)
_at = (availability.c.partner_id == bindparam("partner"), availability.c.product_id == bindparam("product"))
_AVAILABILITY = Statement(
    select(*(availability.c[field.name] for field in fields(Availability))).where(*_at).with_for_update(),
    into=Availability,
)
_PUT_AVAILABILITY = upsert(availability)
_REMOVE_AVAILABILITY = Statement(delete(availability).where(*_at))


class AdminUnit(CallsUnit):
    """One transaction over partners, products and prices."""

    async def add_partner(self, partner: Partner) -> Partner:
        """Keeps a new partner, and gives it an id."""
        row = await self._transaction.one(_ADD_PARTNER, **asdict(partner))
        return replace(partner, id=row["id"]) if row else partner

    async def add_product(self, product: Product) -> Product:
        """Keeps a new product, and gives it an id."""
        row = await self._transaction.one(_ADD_PRODUCT, **asdict(product))
        return replace(product, id=row["id"]) if row else product

    async def product(self, product_id: int) -> Product | None:
        """A product, locked."""
        return await self._transaction.one(_PRODUCT_LOCKED, id=product_id)

    async def put_product(self, product: Product) -> None:
        """Keeps what a product is now."""
        values = {f"new_{name}": getattr(product, name) for name in _PRODUCT}
        await self._transaction.run(_PUT_PRODUCT, product_id=product.id, **values)

    async def delete_product(self, product_id: int) -> None:
        """Deletes a product, and what it costs anywhere."""
        await self._transaction.run(_DELETE_OFFERS, product_id=product_id)
        await self._transaction.run(_DELETE_PRODUCT, product_id=product_id)

    async def keep_partner(self, partner_id: int) -> bool:
        """Whether there is such a partner, and it stays until the transaction ends."""
        return await self._transaction.one(_KEEP_PARTNER, id=partner_id) is not None

    async def keep_product(self, product_id: int) -> bool:
        """Whether there is such a product, and it stays until the transaction ends."""
        return await self._transaction.one(_KEEP_PRODUCT, id=product_id) is not None

    async def availability(self, partner_id: int, product_id: int) -> Availability | None:
        """What a product costs at a partner; None when it is not sold there."""
        return await self._transaction.one(_AVAILABILITY, partner=partner_id, product=product_id)

    async def put_availability(self, partner_id: int, product_id: int, availability: Availability) -> None:
        """Keeps what a product costs at a partner."""
        await self._transaction.run(
            _PUT_AVAILABILITY, partner_id=partner_id, product_id=product_id, **asdict(availability)
        )

    async def remove_availability(self, partner_id: int, product_id: int) -> bool:
        """Forgets what a product costs at a partner; False when it was not sold there."""
        return await self._transaction.run(_REMOVE_AVAILABILITY, partner=partner_id, product=product_id) == 1
