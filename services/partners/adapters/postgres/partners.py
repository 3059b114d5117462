"""Repository of partners, products, prices and calls in PostgreSQL."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Integer, Text, bindparam, cast, func, select, true, tuple_, update
from sqlalchemy.dialects.postgresql import ARRAY

from generated.events import PartnersEvent
from services.partners.adapters.postgres.catalog import PostgresCatalogUnitOfWork
from services.partners.adapters.postgres.partner_calls import CALL_COLUMNS, PostgresDueCallsQueue, call_from_row
from services.partners.adapters.postgres.tables import TIMESTAMP, availability, calls, partners, products
from services.partners.domain.call_policy import Call, CallState
from services.partners.domain.partners import Offer, Partner, Product
from services.partners.usecases.ports import CatalogEntry, CatalogOffer
from services.runtime.messaging.outbox import Outbox
from services.runtime.storage import idempotency
from services.runtime.storage.database import Database, Statement, Transaction
from services.runtime.storage.idempotency import IdempotencyKey, IdempotentResponse

MAX_PRODUCTS_PER_ENTRY = 50
"""Maximum number of products in a catalog entry."""


class _CatalogRow(NamedTuple):
    id: int
    title: str
    brand: str
    address: str
    products: list[dict[str, Any]]  # one more than the maximum if the entry is truncated


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
    """Return the statement for open partners with products on sale, both restricted by the given conditions."""
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
        select(partners.c.id, partners.c.title, partners.c.brand, partners.c.address, entry_products.c.products)
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
_PARTNER = Statement(
    select(*(partners.c[field.name] for field in fields(Partner))).where(partners.c.id == bindparam("id")),
    row_type=Partner,
)
_PARTNERS = Statement(
    select(*(partners.c[field.name] for field in fields(Partner)))
    .where(partners.c.id > bindparam("after"))
    .order_by(partners.c.id)
    .limit(bindparam("size")),
    row_type=Partner,
)
_select_products = select(*(products.c[field.name] for field in fields(Product)))
_PRODUCT = Statement(_select_products.where(products.c.id == bindparam("id")), row_type=Product)
_PRODUCTS = Statement(
    _select_products.where(products.c.id > bindparam("after")).order_by(products.c.id).limit(bindparam("size")),
    row_type=Product,
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

_partner_filter = bindparam("partner", type_=BigInteger)
_order_filter, _state_filter = bindparam("order", type_=Text), bindparam("state", type_=Text)
_CALLS = Statement(
    select(*CALL_COLUMNS)
    .where(
        tuple_(calls.c.created_at, calls.c.id)
        < tuple_(bindparam("before_at", type_=TIMESTAMP), bindparam("before_id", type_=Text)),
        _partner_filter.is_(None) | (calls.c.partner_id == _partner_filter),
        _order_filter.is_(None) | (calls.c.order_id == _order_filter),
        _state_filter.is_(None) | (calls.c.state == _state_filter),
    )
    .order_by(calls.c.created_at.desc(), calls.c.id.desc())
    .limit(bindparam("size"))
)
_CALL = Statement(select(*CALL_COLUMNS).where(calls.c.id == bindparam("id")))
_previous = select(products).where(products.c.id == bindparam("product_id")).with_for_update().cte("old")
# Setting the same picture again is a retry and does not change the version.
_next_version = products.c.version + cast(
    products.c.picture_url.is_distinct_from(bindparam("picture", type_=Text)), Integer
)
_SET_PRODUCT_PICTURE = Statement(
    update(products)
    .where(products.c.id == _previous.c.id)
    .values(picture_url=bindparam("picture"), version=_next_version)
    .returning(products, _previous.c.picture_url.label("old_picture_url"))
)
_PRODUCT_PICTURES = Statement(
    select(products.c.id, products.c.picture_url)
    .where(products.c.id > bindparam("after"), products.c.picture_url.is_not(None))
    .order_by(products.c.id)
    .limit(bindparam("size"))
)


class PostgresUnitOfWork(PostgresCatalogUnitOfWork):
    """One transaction over partners, products, prices and calls."""

    def __init__(self, transaction: Transaction, outbox: Outbox[PartnersEvent]) -> None:
        super().__init__(transaction)
        self._outbox = outbox

    async def publish(self, event: PartnersEvent) -> None:
        """Add an event to the outbox; it is published after the transaction commits."""
        await self._outbox.add(self._transaction, event)

    async def set_product_picture(self, product_id: int, picture_url: str) -> tuple[Product, str | None] | None:
        """Set the picture URL. Return the updated product and the previous URL, or None if the product is unknown."""
        row = await self._transaction.fetch_one(_SET_PRODUCT_PICTURE, product_id=product_id, picture=picture_url)
        if row is None:
            return None
        old_picture_url = row.pop("old_picture_url")
        return Product(**row), old_picture_url


class PostgresRepository(PostgresDueCallsQueue):
    """Repository of partners, products, prices and calls in PostgreSQL."""

    def __init__(self, database: Database, outbox: Outbox[PartnersEvent]) -> None:
        super().__init__(database)
        self._outbox = outbox

    @asynccontextmanager
    async def unit_of_work(self) -> AsyncIterator[PostgresUnitOfWork]:
        """Open a unit of work, which commits at the end of the block and rolls back if the block raises."""
        async with self._database.transaction() as transaction:
            yield PostgresUnitOfWork(transaction, self._outbox)

    @asynccontextmanager
    async def idempotent_unit_of_work(
        self, key: IdempotencyKey | None
    ) -> AsyncIterator[tuple[PostgresUnitOfWork, IdempotentResponse]]:
        """Open a unit of work with the response of an earlier request with the key, or an empty one, to be set."""
        async with idempotency.begin_idempotent_transaction(self._database, key) as (transaction, response):
            yield PostgresUnitOfWork(transaction, self._outbox), response

    async def list_catalog(self, after: int, size: int, partner_id: int | None, q: str | None) -> list[CatalogEntry]:
        """Return at most `size` catalog entries whose partner id is above `after`."""
        statement, filters = (_CATALOG, {}) if q is None else (_CATALOG_SEARCH, {"pattern": build_like_pattern(q)})
        rows = await self._database.fetch_all(statement, after=after, size=size, partner_id=partner_id, **filters)
        return [
            CatalogEntry(
                id=row.id,
                title=row.title,
                brand=row.brand,
                address=row.address,
                products=row.products[:MAX_PRODUCTS_PER_ENTRY],
                products_truncated=len(row.products) > MAX_PRODUCTS_PER_ENTRY,
            )
            for row in rows
        ]

    async def get_partner(self, partner_id: int) -> Partner | None:
        """Return a partner, whether it takes orders or not."""
        return await self._database.fetch_one(_PARTNER, id=partner_id)

    async def list_partners(self, after: int, size: int) -> list[Partner]:
        """Return at most `size` partners whose id is above `after`, by id."""
        return await self._database.fetch_all(_PARTNERS, after=after, size=size)

    async def list_products(self, after: int, size: int) -> list[Product]:
        """Return at most `size` products whose id is above `after`, by id."""
        return await self._database.fetch_all(_PRODUCTS, after=after, size=size)

    async def get_product(self, product_id: int) -> Product | None:
        """Return a product."""
        return await self._database.fetch_one(_PRODUCT, id=product_id)

    async def list_partner_products(self, partner_id: int, after: int, size: int) -> list[CatalogOffer]:
        """Return at most `size` products on sale at a partner whose id is above `after`, by id."""
        return await self._database.fetch_all(_PARTNER_PRODUCTS, partner_id=partner_id, after=after, size=size)

    async def list_calls(
        self,
        size: int,
        before: tuple[datetime, str] | None,
        partner_id: int | None,
        order_id: str | None,
        state: CallState | None,
    ) -> list[Call]:
        """Return at most `size` calls created before a time and id, newest first."""
        before_at, before_id = before or (datetime.max.replace(tzinfo=UTC), "")
        rows = await self._database.fetch_all(
            _CALLS, size=size, before_at=before_at, before_id=before_id, partner=partner_id, order=order_id, state=state
        )
        return [call_from_row(row) for row in rows]

    async def get_call(self, call_id: str) -> Call | None:
        """Return a call."""
        row = await self._database.fetch_one(_CALL, id=call_id)
        return None if row is None else call_from_row(row)

    async def find_offers(self, partner_id: int, product_ids: Sequence[int]) -> dict[int, Offer]:
        """Return the products that are on sale at the partner, by product id."""
        rows = await self._database.fetch_all(_OFFERS, partner_id=partner_id, product_ids=list(product_ids))
        return {offer.product_id: offer for offer in rows}

    async def list_product_pictures(self, after: int, size: int) -> list[tuple[int, str]]:
        """Return id and picture URL of at most `size` products with a picture whose id is above `after`."""
        return [
            (row["id"], row["picture_url"])
            for row in await self._database.fetch_all(_PRODUCT_PICTURES, after=after, size=size)
        ]
