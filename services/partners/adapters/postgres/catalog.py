"""Catalog and prices in PostgreSQL."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, NamedTuple, override

import msgspec
from sqlalchemy import BigInteger, ColumnElement, Table, Text, bindparam, delete, func, select, true, tuple_
from sqlalchemy.dialects.postgresql import ARRAY

from services.partners.adapters.postgres.catalog_entities import PARTNERS
from services.partners.adapters.postgres.tables import SORT_TITLE_LENGTH, availability, partners, products
from services.partners.domain.catalog_sorting import CatalogFilter, CatalogSort, Position, ProductSort
from services.partners.domain.opening_hours import OpeningHours
from services.partners.domain.partners import Availability, CatalogEntry, CatalogOffer, Offer, PartnerOffers
from services.partners.usecases.ports import AvailabilityRepository, CatalogReader
from services.runtime.storage.database import Database
from services.runtime.storage.statements.statement import Statement, build_upsert
from services.runtime.storage.statements.text_comparison import normalise_case
from services.runtime.storage.transactions.transaction import Transaction

MAX_PRODUCTS_PER_ENTRY = 50
"""Maximum number of products in a catalog entry."""

MAX_PRICE = 1_000_000_000
"""Maximum price, which the table and the contract limit."""


type _Order = tuple[ColumnElement[bool], Sequence[ColumnElement[Any]]]
"""Keyset condition and ORDER BY of a list."""


class _CatalogRow(NamedTuple):
    id: int
    title: str
    brand: str
    address: str
    picture_url: str | None
    opening_hours: dict[str, Any] | None
    delivery_fee: int
    delivery_fee_currency: str
    sort_title: str
    products: list[dict[str, Any]]  # one more than the maximum if the entry is truncated


_PARTNER_COLUMNS = [
    partners.c[name]
    for name in (
        *("id", "title", "brand", "address"),
        *("picture_url", "opening_hours", "delivery_fee", "delivery_fee_currency"),
    )
]
_CATALOG_COLUMNS = [products.c[name] for name in ("id", "title", "description", "picture_url", "category")]


def _read_opening_hours(value: dict[str, Any] | None) -> OpeningHours | None:
    return None if value is None else msgspec.convert(value, OpeningHours)


def build_like_pattern(text: str) -> str:
    """Return the LIKE pattern of texts that contain this text, with wildcards escaped."""
    escaped = text.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
    return f"%{escaped}%"


def _build_sort_title(table: Table) -> ColumnElement[str]:
    return func.left(func.lower(table.c.title), SORT_TITLE_LENGTH)


_title_matches = normalise_case(products.c.title).like(normalise_case(bindparam("pattern", type_=Text)))
"""Condition supported by the index `products_by_folded_title`; the pattern is made by `build_like_pattern`."""

_category_matches = products.c.category == bindparam("category", type_=Text)

_after_id = bindparam("after_id", type_=BigInteger)
_PARTNER_TITLE = _build_sort_title(partners)
_CATALOG_ORDERS: Mapping[CatalogSort, _Order] = {
    CatalogSort.ID: (partners.c.id > _after_id, [partners.c.id]),
    CatalogSort.ALPHABETICAL: (
        tuple_(_PARTNER_TITLE, partners.c.id) > tuple_(bindparam("after_key", type_=Text), _after_id),
        [_PARTNER_TITLE, partners.c.id],
    ),
}
"""Orders of the partners."""


def _build_catalog_statement(
    sort: CatalogSort, product_filters: Sequence[ColumnElement[bool]]
) -> Statement[_CatalogRow]:
    """Return the statement for available partners with products on sale that match the filters."""
    offers = (
        select(*_CATALOG_COLUMNS, availability.c.price, availability.c.currency)
        .join_from(availability, products, availability.c.product_id == products.c.id)
        .where(availability.c.partner_id == partners.c.id, availability.c.active, *product_filters)
        .order_by(products.c.id)
        .limit(MAX_PRODUCTS_PER_ENTRY + 1)
        .correlate(partners)
        .lateral()
    )
    # JSON objects of whole rows: faster than json_build_object with each column.
    entry_products = select(func.json_agg(offers.table_valued()).label("products")).select_from(offers).lateral()
    partner_id = bindparam("partner_id", type_=BigInteger)
    sellers = (
        select(availability.c.partner_id)
        .join_from(products, availability, availability.c.product_id == products.c.id)
        .where(*product_filters, availability.c.active)
    )
    is_after, order = _CATALOG_ORDERS[sort]
    return Statement(
        select(*_PARTNER_COLUMNS, _PARTNER_TITLE.label("sort_title"), entry_products.c.products)
        .join_from(partners, entry_products, true())
        .where(
            partners.c.verified,
            partners.c.enabled,
            entry_products.c.products.is_not(None),
            is_after,
            partner_id.is_(None) | (partners.c.id == partner_id),
            *([partners.c.id.in_(sellers)] if product_filters else []),
        )
        .order_by(*order)
        .limit(bindparam("size")),
        row_type=_CatalogRow,
        is_replanned=bool(product_filters),  # the best plan depends on how frequent the text or category is
    )


def build_catalog_statements() -> Mapping[tuple[CatalogSort, bool, bool], Statement[_CatalogRow]]:
    """Return the statements of the catalog, by order and by whether text and category restrict the products."""
    filters = itertools.product((False, True), repeat=2)
    return {
        (sort, has_q, has_category): _build_catalog_statement(
            sort, [*([_title_matches] if has_q else []), *([_category_matches] if has_category else [])]
        )
        for sort, (has_q, has_category) in itertools.product(CatalogSort, filters)
    }


_CATALOG = build_catalog_statements()

_PRODUCT_TITLE = _build_sort_title(products)
_after_price = bindparam("after_key", type_=BigInteger)
_price, _product_id = availability.c.price, availability.c.product_id
_OFFER_ORDERS: Mapping[ProductSort, _Order] = {
    ProductSort.ID: (products.c.id > _after_id, [products.c.id]),
    ProductSort.ALPHABETICAL: (
        tuple_(_PRODUCT_TITLE, products.c.id) > tuple_(bindparam("after_key", type_=Text), _after_id),
        [_PRODUCT_TITLE, products.c.id],
    ),
    ProductSort.PRICE: (tuple_(_price, _product_id) > tuple_(_after_price, _after_id), [_price, _product_id]),
    ProductSort.PRICE_DESCENDING: (
        tuple_(_price, _product_id) < tuple_(_after_price, _after_id),
        [_price.desc(), _product_id.desc()],
    ),
}
"""Orders of the products of a partner."""

_FIRST_POSITIONS: Mapping[str, Position] = {
    "id": Position("", 0),
    "alphabetical": Position("", 0),
    "price": Position(-1, 0),
    "price_descending": Position(MAX_PRICE + 1, 0),
}
"""Position before the first row, by order. Titles are not empty."""


def _build_offers_statement(sort: ProductSort) -> Statement[CatalogOffer]:
    category = bindparam("category", type_=Text)
    is_after, order = _OFFER_ORDERS[sort]
    return Statement(
        select(*_CATALOG_COLUMNS, availability.c.price, availability.c.currency, _PRODUCT_TITLE.label("sort_title"))
        .join_from(availability, products, availability.c.product_id == products.c.id)
        .where(
            availability.c.partner_id == bindparam("partner_id"),
            availability.c.active,
            is_after,
            category.is_(None) | (products.c.category == category),
        )
        .order_by(*order)
        .limit(bindparam("size")),
        row_type=CatalogOffer,
    )


_PARTNER_PRODUCTS = {sort: _build_offers_statement(sort) for sort in ProductSort}
_offer = func.json_build_array(products.c.id, products.c.title, availability.c.price, availability.c.currency)
_offers = (
    select(func.json_agg(_offer))
    .join_from(availability, products, availability.c.product_id == products.c.id)
    .where(
        availability.c.partner_id == partners.c.id,
        availability.c.active,
        availability.c.product_id == bindparam("product_ids", type_=ARRAY(BigInteger)).any_(),
    )
    .correlate(partners)
    .scalar_subquery()
)
_PARTNER_OFFERS = Statement(
    select(*(partners.c[name] for name in ("id", *PARTNERS.columns)), _offers.label("offers")).where(
        partners.c.id == bindparam("partner_id")
    )
)
_matches_ids = (availability.c.partner_id == bindparam("partner"), availability.c.product_id == bindparam("product"))
_AVAILABILITY_FOR_UPDATE = Statement(
    select(*(availability.c[field.name] for field in fields(Availability))).where(*_matches_ids).with_for_update(),
    row_type=Availability,
)
_SAVE_AVAILABILITY = build_upsert(availability)
_REMOVE_AVAILABILITY = Statement(delete(availability).where(*_matches_ids))
_REMOVE_PRODUCT = Statement(delete(availability).where(availability.c.product_id == bindparam("product")))


def _bind_position(sort: CatalogSort | ProductSort, after: Position | None) -> dict[str, Any]:
    key, entity_id = after or _FIRST_POSITIONS[sort.value]
    return {"after_key": key, "after_id": entity_id}


class PostgresCatalogReader(CatalogReader):
    """Read access to the catalog in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def list_entries(
        self, sort: CatalogSort, after: Position | None, size: int, catalog_filter: CatalogFilter
    ) -> list[CatalogEntry]:
        partner_id, q, category = catalog_filter
        rows = await self._database.fetch_all(
            _CATALOG[sort, q is not None, category is not None],
            size=size,
            partner_id=partner_id,
            pattern=None if q is None else build_like_pattern(q),
            category=category,
            **_bind_position(sort, after),
        )
        return [
            CatalogEntry(
                id=row.id,
                title=row.title,
                brand=row.brand,
                address=row.address,
                picture_url=row.picture_url,
                products=row.products[:MAX_PRODUCTS_PER_ENTRY],
                products_truncated=len(row.products) > MAX_PRODUCTS_PER_ENTRY,
                opening_hours=_read_opening_hours(row.opening_hours),
                sort_title=row.sort_title,
                delivery_fee=row.delivery_fee,
                delivery_fee_currency=row.delivery_fee_currency,
            )
            for row in rows
        ]

    @override
    async def list_offers(
        self, partner_id: int, sort: ProductSort, after: Position | None, size: int, category: str | None
    ) -> list[CatalogOffer]:
        return await self._database.fetch_all(
            _PARTNER_PRODUCTS[sort],
            partner_id=partner_id,
            size=size,
            category=category,
            **_bind_position(sort, after),
        )

    @override
    async def find_offers(self, partner_id: int, product_ids: Sequence[int]) -> PartnerOffers | None:
        row = await self._database.fetch_one(_PARTNER_OFFERS, partner_id=partner_id, product_ids=list(product_ids))
        if row is None:
            return None
        offers = [Offer(*values) for values in row.pop("offers") or ()]
        return PartnerOffers(PARTNERS.read_row(row), {offer.product_id: offer for offer in offers})


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

    @override
    async def remove_product(self, product_id: int) -> None:
        await self._transaction.execute(_REMOVE_PRODUCT, product=product_id)
