"""Partners' tables and statements."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from psycopg.types.json import Jsonb
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    bindparam,
    cast,
    func,
    insert,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from generated.events import PartnersEvent
from generated.proto.delivery.events.v1 import PartnerNotified
from services.partners.domain import Offer, Partner, Product
from services.partners.usecases import Call, CatalogEntry
from services.runtime import inbox
from services.runtime.database import Database, Statement
from services.runtime.inbox import inbox_table
from services.runtime.outbox import Outbox, outbox_table

PRODUCTS_SHOWN = 50
"""How many products a catalog entry shows at most."""

metadata = MetaData()
outbox_table(metadata)
inbox_table(metadata)

partners = Table(
    "partners",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("title", Text, nullable=False),
    Column("brand", Text, nullable=False),
    Column("phone", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("api_url", Text, nullable=False),
    Column("webhook_secret", LargeBinary, nullable=False),
    Column("verified", Boolean, nullable=False),
    Column("enabled", Boolean, nullable=False),
)
products = Table(
    "products",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("title", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("picture_url", Text),
)
availability = Table(
    "availability",
    metadata,
    Column("partner_id", BigInteger, ForeignKey("partners.id"), primary_key=True),
    Column("product_id", BigInteger, ForeignKey("products.id"), primary_key=True),
    Column("price", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("active", Boolean, nullable=False),
    CheckConstraint("price BETWEEN 0 AND 1000000000", name="availability_price"),
)
calls = Table(
    "partner_calls",
    metadata,
    Column("id", Text, primary_key=True),
    Column("partner_id", BigInteger, ForeignKey("partners.id"), nullable=False),
    Column("order_id", Text, nullable=False),
    Column("payload", JSONB, nullable=False),
    Column("trace", JSONB, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("answer", Text),
    Column("next_at", DateTime(timezone=True), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("state IN ('waiting', 'delivered', 'failed')", name="partner_calls_state"),
    Index("partner_calls_due", "next_at", postgresql_where="state = 'waiting'"),
    Index("partner_calls_order", "order_id", "partner_id"),
)


class _CatalogRow(NamedTuple):
    id: int
    title: str
    brand: str
    address: str
    products: list[dict[str, Any]]  # one more than are shown, if there are more


_wanted = bindparam("q", type_=Text)
_offers = (
    select(products, availability.c.price, availability.c.currency)
    .join_from(availability, products, availability.c.product_id == products.c.id)
    .where(
        availability.c.partner_id == partners.c.id,
        availability.c.active,
        _wanted.is_(None) | (func.strpos(func.lower(products.c.title), func.lower(_wanted)) > 0),
    )
    .order_by(products.c.id)
    .limit(PRODUCTS_SHOWN + 1)
    .subquery()
)
_shown = (
    select(
        func.jsonb_agg(
            func.jsonb_build_object(*(part for column in _offers.c for part in (cast(column.name, Text), column)))
        ).label("products")
    )
    .select_from(_offers)
    .lateral()
)
_CATALOG = Statement(
    select(partners.c.id, partners.c.title, partners.c.brand, partners.c.address, _shown.c.products)
    .join_from(partners, _shown, true())
    .where(
        partners.c.verified,
        partners.c.enabled,
        _shown.c.products.is_not(None),
        partners.c.id > bindparam("after", type_=BigInteger),
        bindparam("partner_id", type_=BigInteger).is_(None) | (partners.c.id == bindparam("partner_id")),
    )
    .order_by(partners.c.id)
    .limit(bindparam("size")),
    into=_CatalogRow,
)
_PARTNER = Statement(
    select(*(partners.c[name] for name in Partner.__dataclass_fields__)).where(partners.c.id == bindparam("id")),
    into=Partner,
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

_CALL_OF_ORDER = Statement(
    select(calls.c.id).where(calls.c.order_id == bindparam("order_id"), calls.c.partner_id == bindparam("partner_id"))
)
_ADD_CALL = Statement(
    insert(calls).values(
        {
            **{name: bindparam(name) for name in ("id", "partner_id", "order_id", "payload", "trace", "created_at")},
            "next_at": bindparam("created_at"),
            "state": "waiting",
            "attempts": 0,
        }
    )
)
LEASE = timedelta(seconds=30)
"""How long a worker has a call to itself; longer than a partner's system may take to answer."""
_due = (
    select(calls.c.id)
    .where(calls.c.state == "waiting", calls.c.next_at <= bindparam("now"))
    .order_by(calls.c.next_at)
    .limit(bindparam("size"))
    .with_for_update(skip_locked=True)
    .cte("due")
)
_TAKE_CALLS = Statement(
    update(calls)
    .where(calls.c.id == _due.c.id)
    .values(attempts=calls.c.attempts + 1, next_at=bindparam("lease_ends"))
    .returning(*(calls.c[name] for name in Call.__dataclass_fields__)),
    into=Call,
)
_END_CALL = Statement(
    update(calls)
    .where(calls.c.id == bindparam("call_id"), calls.c.state == "waiting")
    .values(state=bindparam("new_state"), answer=bindparam("new_answer"), next_at=bindparam("new_next_at"))
)


_old = select(products).where(products.c.id == bindparam("product_id")).with_for_update().cte("old")
_SET_PICTURE = Statement(
    update(products)
    .where(products.c.id == _old.c.id)
    .values(picture_url=bindparam("picture"))
    .returning(products, _old.c.picture_url.label("old_picture_url"))
)
_PICTURES = Statement(
    select(products.c.id, products.c.picture_url)
    .where(products.c.id > bindparam("after"), products.c.picture_url.is_not(None))
    .order_by(products.c.id)
    .limit(bindparam("size"))
)


class PartnersStore:
    """Partners in PostgreSQL; every method is one transaction."""

    def __init__(self, database: Database, outbox: Outbox[PartnersEvent]) -> None:
        self._database = database
        self._outbox = outbox

    async def catalog(self, after: int, size: int, partner_id: int | None, q: str | None) -> list[CatalogEntry]:
        """At most `size` entries whose id is above `after`."""
        rows = await self._database.many(_CATALOG, after=after, size=size, partner_id=partner_id, q=q)
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

    async def offers(self, partner_id: int, product_ids: Sequence[int]) -> dict[int, Offer]:
        """Those of the products that the partner sells now."""
        rows = await self._database.many(_OFFERS, partner_id=partner_id, product_ids=list(product_ids))
        return {offer.product_id: offer for offer in rows}

    async def has_call(self, partner_id: int, order_id: str) -> bool:
        """Whether the order was ever given to the partner."""
        return await self._database.one(_CALL_OF_ORDER, partner_id=partner_id, order_id=order_id) is not None

    async def plan_call(self, event_id: str, call: Call, at: datetime) -> None:
        """Keeps the call, once per event."""
        async with self._database.transaction() as transaction:
            if await inbox.first(transaction, "partners.calls", event_id):
                await transaction.run(
                    _ADD_CALL,
                    id=call.id,
                    partner_id=call.partner_id,
                    order_id=call.order_id,
                    payload=Jsonb(call.payload),
                    trace=Jsonb(call.trace),
                    created_at=at,
                )

    async def take_calls(self, size: int, at: datetime) -> list[Call]:
        """Calls that are due, for this worker alone until the lease ends; if it dies, another takes them."""
        return await self._database.many(_TAKE_CALLS, size=size, now=at, lease_ends=at + LEASE)

    async def delivered(self, call: Call, words: str, at: datetime) -> None:
        """The partner has it: the call ends, and `partners.notified` leaves."""
        async with self._database.transaction() as transaction:
            if await transaction.run(
                _END_CALL, call_id=call.id, new_state="delivered", new_answer=words, new_next_at=at
            ):
                await self._outbox.add(
                    transaction, PartnerNotified(order_id=call.order_id, partner_id=call.partner_id, at=at)
                )

    async def not_delivered(self, call: Call, words: str, again_at: datetime | None) -> None:
        """The call is tried again, or ends without success."""
        await self._database.run(
            _END_CALL,
            call_id=call.id,
            new_state="failed" if again_at is None else "waiting",
            new_answer=words,
            new_next_at=again_at or datetime.now(UTC),
        )

    async def set_product_picture(self, product_id: int, picture_url: str) -> tuple[Product, str | None] | None:
        """The product as it is now, and where its picture was; None when there is no such product."""
        row = await self._database.one(_SET_PICTURE, product_id=product_id, picture=picture_url)
        if row is None:
            return None
        old = row.pop("old_picture_url")
        return Product(**row), old

    async def product_pictures(self, after: int, size: int) -> list[tuple[int, str]]:
        """Products above `after` that have a picture, each with where it is."""
        return [(row["id"], row["picture_url"]) for row in await self._database.many(_PICTURES, after=after, size=size)]
