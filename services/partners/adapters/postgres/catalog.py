"""Catalog and prices in PostgreSQL."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any, NamedTuple, override

import msgspec
from sqlalchemy import BigInteger, ColumnElement, Text, bindparam, delete, func, select, true
from sqlalchemy.dialects.postgresql import ARRAY

from services.partners.adapters.postgres.tables import availability, partners, products
from services.partners.domain.opening_hours import OpeningHours
from services.partners.domain.partners import Availability, CatalogEntry, CatalogOffer, Offer
from services.partners.usecases.ports import AvailabilityRepository, CatalogReader
from services.runtime.storage.database import Database, Statement, Transaction, build_upsert

MAX_PRODUCTS_PER_ENTRY = 50
"""Maximum number of products in a catalog entry."""


class _CatalogRow(NamedTuple):
    id: int
    title: str
    brand: str
    address: str
    picture_url: str | None
    opening_hours: dict[str, Any] | None
    products: list[dict[str, Any]]  # one more than the maximum if the entry is truncated


_PARTNER_COLUMNS = [partners.c[name] for name in ("id", "title", "brand", "address", "picture_url", "opening_hours")]
_CATALOG_COLUMNS = [products.c[name] for name in ("id", "title", "description", "picture_url")]


def build_like_pattern(text: str) -> str:
    """Return the LIKE pattern of texts that contain this text, with wildcards escaped."""
    escaped = text.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
    return f"%{escaped}%"


_title_matches = func.lower(products.c.title).like(func.lower(bindparam("pattern", type_=Text)))
"""Condition supported by the index `products_by_title_trigrams`; the pattern is made by `build_like_pattern`."""


def _build_catalog_statement(
    product_filter: ColumnElement[bool], *partner_filters: ColumnElement[bool], is_replanned: bool = False
) -> Statement[_CatalogRow]:
    """Return the statement for available partners with products on sale, both restricted by the given conditions."""
    offers = (
        select(*_CATALOG_COLUMNS, availability.c.price, availability.c.currency)
        .join_from(availability, products, availability.c.product_id == products.c.id)
        .where(availability.c.partner_id == partners.c.id, availability.c.active, product_filter)
        .order_by(products.c.id)
        .limit(MAX_PRODUCTS_PER_ENTRY + 1)
        .correlate(partners)
        .lateral()
    )
    # JSON objects of whole rows: faster than json_build_object with each column.
    entry_products = select(func.json_agg(offers.table_valued()).label("products")).select_from(offers).lateral()
    partner_id = bindparam("partner_id", type_=BigInteger)
    return Statement(
        select(*_PARTNER_COLUMNS, entry_products.c.products)
        .join_from(partners, entry_products, true())
        .where(
            partners.c.verified,
            partners.c.enabled,
            entry_products.c.products.is_not(None),
            partners.c.id > bindparam("after", type_=BigInteger),
            partner_id.is_(None) | (partners.c.id == partner_id),
            *partner_filters,
        )
        .order_by(partners.c.id)
        .limit(bindparam("size")),
        row_type=_CatalogRow,
        is_replanned=is_replanned,
    )


_CATALOG = _build_catalog_statement(true())
_CATALOG_SEARCH = _build_catalog_statement(
    _title_matches,
    partners.c.id.in_(
        select(availability.c.partner_id)
        .join_from(products, availability, availability.c.product_id == products.c.id)
        .where(_title_matches, availability.c.active)
    ),
    is_replanned=True,  # the best plan depends on how frequent the text is
)
_PARTNER_PRODUCTS = Statement(
    select(*_CATALOG_COLUMNS, availability.c.price, availability.c.currency)
    .join_from(availability, products, availability.c.product_id == products.c.id)
    .where(
        availability.c.partner_id == bindparam("partner_id"),
        availability.c.active,
        products.c.id > bindparam("after"),
    )
    .order_by(products.c.id)
    .limit(bindparam("size")),
    row_type=CatalogOffer,
)
_OFFERS = Statement(
    select(availability.c.product_id, products.c.title, availability.c.price, availability.c.currency)
    .join_from(availability, products, availability.c.product_id == products.c.id)
    .where(
        availability.c.partner_id == bindparam("partner_id"),
        availability.c.active,
        availability.c.product_id == bindparam("product_ids", type_=ARRAY(BigInteger)).any_(),
    ),
    row_type=Offer,
)
_matches_ids = (availability.c.partner_id == bindparam("partner"), availability.c.product_id == bindparam("product"))
_AVAILABILITY_FOR_UPDATE = Statement(
    select(*(availability.c[field.name] for field in fields(Availability))).where(*_matches_ids).with_for_update(),
    row_type=Availability,
)
_SAVE_AVAILABILITY = build_upsert(availability)
_REMOVE_AVAILABILITY = Statement(delete(availability).where(*_matches_ids))


class PostgresCatalogReader(CatalogReader):
    """Read access to the catalog in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def list_entries(self, after: int, size: int, partner_id: int | None, q: str | None) -> list[CatalogEntry]:
        statement, filters = (_CATALOG, {}) if q is None else (_CATALOG_SEARCH, {"pattern": build_like_pattern(q)})
        rows = await self._database.fetch_all(statement, after=after, size=size, partner_id=partner_id, **filters)
        return [
            CatalogEntry(
                id=row.id,
                title=row.title,
                brand=row.brand,
                address=row.address,
                picture_url=row.picture_url,
                products=row.products[:MAX_PRODUCTS_PER_ENTRY],
                products_truncated=len(row.products) > MAX_PRODUCTS_PER_ENTRY,
                opening_hours=msgspec.convert(row.opening_hours, OpeningHours | None),
            )
            for row in rows
        ]

    @override
    async def list_offers(self, partner_id: int, after: int, size: int) -> list[CatalogOffer]:
        return await self._database.fetch_all(_PARTNER_PRODUCTS, partner_id=partner_id, after=after, size=size)

    @override
    async def find_offers(self, partner_id: int, product_ids: Sequence[int]) -> dict[int, Offer]:
        rows = await self._database.fetch_all(_OFFERS, partner_id=partner_id, product_ids=list(product_ids))
        return {offer.product_id: offer for offer in rows}


class PostgresAvailabilityRepository(AvailabilityRepository):
    """Prices of one transaction in PostgreSQL."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    @override
    async def get_for_update(self, partner_id: int, product_id: int) -> Availability | None:
        return await self._transaction.fetch_one(_AVAILABILITY_FOR_UPDATE, partner=partner_id, product=product_id)

    @override
    async def save(self, partner_id: int, product_id: int, availability: Availability) -> None:
        await self._transaction.execute(
            _SAVE_AVAILABILITY, partner_id=partner_id, product_id=product_id, **asdict(availability)
        )

    @override
    async def remove(self, partner_id: int, product_id: int) -> bool:
        return await self._transaction.execute(_REMOVE_AVAILABILITY, partner=partner_id, product=product_id) == 1
