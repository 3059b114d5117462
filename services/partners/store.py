"""Partners in PostgreSQL: statements, and the rows they make and read."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Integer, Text, bindparam, cast, func, select, true, tuple_, update
from sqlalchemy.dialects.postgresql import ARRAY

from generated.events import PartnersEvent
from services.partners.admin_store import AdminUnit
from services.partners.calls_store import COLUMNS, CallsDue, call_of
from services.partners.domain import Offer, Partner, Product
from services.partners.retries import Call, CallKind, CallState
from services.partners.tables import TIME, availability, calls, partners, products
from services.partners.usecases.ports import CatalogEntry, CatalogOffer
from services.runtime import idempotency
from services.runtime.database import Database, Statement, Transaction
from services.runtime.idempotency import Kept, Key
from services.runtime.outbox import Outbox

PRODUCTS_SHOWN = 50
"""How many products a catalog entry shows at most."""


class _CatalogRow(NamedTuple):
    id: int
    title: str
    brand: str
    address: str
    products: list[dict[str, Any]]  # one more than are shown, if there are more


_SHOWN = [products.c[name] for name in ("id", "title", "description", "picture_url")]


def containing(words: str) -> str:
    """A pattern of LIKE for texts in which these words stand, whatever is in them."""
    escaped = words.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
    return f"%{escaped}%"


_titled = func.lower(products.c.title).like(func.lower(bindparam("words", type_=Text)))
"""What the index `products_by_words` finds; the pattern is made by `containing`."""


def _catalog(
    sold: ColumnElement[bool], *sellers: ColumnElement[bool], each_anew: bool = False
) -> Statement[_CatalogRow]:
    """Partners that sell something, with what they sell; of both only those of which these are true."""
    offers = (
        select(*_SHOWN, availability.c.price, availability.c.currency)
        .join_from(availability, products, availability.c.product_id == products.c.id)
        .where(availability.c.partner_id == partners.c.id, availability.c.active, sold)
        .order_by(products.c.id)
        .limit(PRODUCTS_SHOWN + 1)
        .correlate(partners)
        .lateral()
    )
    # Objects with the names of the columns, made of whole rows: that is quicker than naming each.
    shown = select(func.json_agg(offers.table_valued()).label("products")).select_from(offers).lateral()
    wanted_partner = bindparam("partner_id", type_=BigInteger)
    return Statement(
        select(partners.c.id, partners.c.title, partners.c.brand, partners.c.address, shown.c.products)
        .join_from(partners, shown, true())
        .where(
            partners.c.verified,
            partners.c.enabled,
            shown.c.products.is_not(None),
            partners.c.id > bindparam("after", type_=BigInteger),
            wanted_partner.is_(None) | (partners.c.id == wanted_partner),
            *sellers,
        )
        .order_by(partners.c.id)
        .limit(bindparam("size")),
        into=_CatalogRow,
        each_anew=each_anew,
    )


_CATALOG = _catalog(true())
_FOUND = _catalog(
    _titled,
    partners.c.id.in_(
        select(availability.c.partner_id)
        .join_from(products, availability, availability.c.product_id == products.c.id)
        .where(_titled, availability.c.active)
    ),
    each_anew=True,  # words that are rare are looked for first, words that are everywhere last
)
_PARTNER = Statement(
    select(*(partners.c[field.name] for field in fields(Partner))).where(partners.c.id == bindparam("id")),
    into=Partner,
)
_PARTNERS = Statement(
    select(*(partners.c[field.name] for field in fields(Partner)))
    .where(partners.c.id > bindparam("after"))
    .order_by(partners.c.id)
    .limit(bindparam("size")),
    into=Partner,
)
_products = select(*(products.c[field.name] for field in fields(Product)))
_PRODUCT = Statement(_products.where(products.c.id == bindparam("id")), into=Product)
_PRODUCTS = Statement(
    _products.where(products.c.id > bindparam("after")).order_by(products.c.id).limit(bindparam("size")), into=Product
)
_PARTNER_PRODUCTS = Statement(
    select(*_SHOWN, availability.c.price, availability.c.currency)
    .join_from(availability, products, availability.c.product_id == products.c.id)
    .where(
        availability.c.partner_id == bindparam("partner_id"),
        availability.c.active,
        products.c.id > bindparam("after"),
    )
    .order_by(products.c.id)
    .limit(bindparam("size")),
    into=CatalogOffer,
)
_OFFERS = Statement(
    select(availability.c.product_id, products.c.title, availability.c.price, availability.c.currency)
    .join_from(availability, products, availability.c.product_id == products.c.id)
    .where(
        availability.c.partner_id == bindparam("partner_id"),
        availability.c.active,
        availability.c.product_id == bindparam("product_ids", type_=ARRAY(BigInteger)).any_(),
    ),
    into=Offer,
)

_ORDER_CALL = Statement(
    select(calls.c.id).where(
        calls.c.order_id == bindparam("order_id"),
        calls.c.partner_id == bindparam("partner_id"),
        calls.c.kind == str(CallKind.ORDER),
    )
)
_wanted_partner = bindparam("partner", type_=BigInteger)
_wanted_order, _wanted_state = bindparam("order", type_=Text), bindparam("state", type_=Text)
_CALLS = Statement(
    select(*COLUMNS)
    .where(
        tuple_(calls.c.created_at, calls.c.id)
        < tuple_(bindparam("before_at", type_=TIME), bindparam("before_id", type_=Text)),
        _wanted_partner.is_(None) | (calls.c.partner_id == _wanted_partner),
        _wanted_order.is_(None) | (calls.c.order_id == _wanted_order),
        _wanted_state.is_(None) | (calls.c.state == _wanted_state),
    )
    .order_by(calls.c.created_at.desc(), calls.c.id.desc())
    .limit(bindparam("size"))
)
_CALL = Statement(select(*COLUMNS).where(calls.c.id == bindparam("id")))
_old = select(products).where(products.c.id == bindparam("product_id")).with_for_update().cte("old")
# The same picture once more is a retry, and changes nothing.
_next = products.c.version + cast(products.c.picture_url.is_distinct_from(bindparam("picture", type_=Text)), Integer)
_SET_PICTURE = Statement(
    update(products)
    .where(products.c.id == _old.c.id)
    .values(picture_url=bindparam("picture"), version=_next)
    .returning(products, _old.c.picture_url.label("old_picture_url"))
)
_PICTURES = Statement(
    select(products.c.id, products.c.picture_url)
    .where(products.c.id > bindparam("after"), products.c.picture_url.is_not(None))
    .order_by(products.c.id)
    .limit(bindparam("size"))
)


class PartnersUnit(AdminUnit):
    """One transaction over all that partners keep."""

    def __init__(self, transaction: Transaction, outbox: Outbox[PartnersEvent]) -> None:
        super().__init__(transaction)
        self._outbox = outbox

    async def publish(self, event: PartnersEvent) -> None:
        """Lets the event leave when the transaction has committed."""
        await self._outbox.add(self._transaction, event)

    async def set_product_picture(self, product_id: int, picture_url: str) -> tuple[Product, str | None] | None:
        """The product as it is now, and where its picture was; None when there is no such product."""
        row = await self._transaction.one(_SET_PICTURE, product_id=product_id, picture=picture_url)
        if row is None:
            return None
        old = row.pop("old_picture_url")
        return Product(**row), old


class PartnersStore(CallsDue):
    """Partners in PostgreSQL."""

    def __init__(self, database: Database, outbox: Outbox[PartnersEvent]) -> None:
        super().__init__(database)
        self._outbox = outbox

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[PartnersUnit]:
        """Commits at the end of the block, rolls back when it raises."""
        async with self._database.transaction() as transaction:
            yield PartnersUnit(transaction, self._outbox)

    async def once(self, key: Key | None, work: Callable[[PartnersUnit], Awaitable[bytes]]) -> Kept:
        """Does the work in a unit, or gives the first answer to the key again."""
        return await idempotency.once(
            self._database, key, lambda transaction: work(PartnersUnit(transaction, self._outbox))
        )

    async def catalog(self, after: int, size: int, partner_id: int | None, q: str | None) -> list[CatalogEntry]:
        """At most `size` entries whose id is above `after`."""
        statement, words = (_CATALOG, {}) if q is None else (_FOUND, {"words": containing(q)})
        rows = await self._database.many(statement, after=after, size=size, partner_id=partner_id, **words)
        return [
            CatalogEntry(
                id=row.id,
                title=row.title,
                brand=row.brand,
                address=row.address,
                products=row.products[:PRODUCTS_SHOWN],
                products_truncated=len(row.products) > PRODUCTS_SHOWN,
            )
            for row in rows
        ]

    async def partner(self, partner_id: int) -> Partner | None:
        """The partner, whether it takes orders or not."""
        return await self._database.one(_PARTNER, id=partner_id)

    async def partners(self, after: int, size: int) -> list[Partner]:
        """Partners above `after`, by id."""
        return await self._database.many(_PARTNERS, after=after, size=size)

    async def products(self, after: int, size: int) -> list[Product]:
        """Products above `after`, by id."""
        return await self._database.many(_PRODUCTS, after=after, size=size)

    async def product(self, product_id: int) -> Product | None:
        """A product."""
        return await self._database.one(_PRODUCT, id=product_id)

    async def partner_products(self, partner_id: int, after: int, size: int) -> list[CatalogOffer]:
        """What a partner sells now, above `after`, by id."""
        return await self._database.many(_PARTNER_PRODUCTS, partner_id=partner_id, after=after, size=size)

    async def calls(
        self,
        size: int,
        before: tuple[datetime, str] | None,
        partner_id: int | None,
        order_id: str | None,
        state: CallState | None,
    ) -> list[Call]:
        """Calls made before a time and an id, newest first."""
        at, call_id = before or (datetime.max.replace(tzinfo=UTC), "")
        rows = await self._database.many(
            _CALLS, size=size, before_at=at, before_id=call_id, partner=partner_id, order=order_id, state=state
        )
        return [call_of(row) for row in rows]

    async def call(self, call_id: str) -> Call | None:
        """A call."""
        row = await self._database.one(_CALL, id=call_id)
        return None if row is None else call_of(row)

    async def offers(self, partner_id: int, product_ids: Sequence[int]) -> dict[int, Offer]:
        """Those of the products that the partner sells now."""
        rows = await self._database.many(_OFFERS, partner_id=partner_id, product_ids=list(product_ids))
        return {offer.product_id: offer for offer in rows}

    async def has_order(self, partner_id: int, order_id: str) -> bool:
        """Whether the order was ever given to the partner."""
        return await self._database.one(_ORDER_CALL, partner_id=partner_id, order_id=order_id) is not None

    async def product_pictures(self, after: int, size: int) -> list[tuple[int, str]]:
        """Products above `after` that have a picture, each with where it is."""
        return [(row["id"], row["picture_url"]) for row in await self._database.many(_PICTURES, after=after, size=size)]
