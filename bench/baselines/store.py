"""Repositories of the baselines: one with SQLAlchemy's ORM, one on the raw driver. Both return plain dicts."""

from collections.abc import Sequence
from typing import Any, Protocol

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import selectinload

from bench.baselines.events import build_event
from bench.baselines.tables import Bank, Offer, Order, Outbox, Partner

type Row = dict[str, Any]

POOL_SIZE = 8
ORDER_COLUMNS = tuple(
    column.name for column in Order.__table__.columns if column.name not in {"check_id", "partner_notified_at"}
)


class Repository(Protocol):
    """Interface of both repositories."""

    async def open(self) -> None:
        """Connect to the database."""

    async def list_catalog(self, after: int, size: int) -> list[Row]:
        """Return partners with their products, in order of id, after an id."""

    async def find_offers(self, partner_id: int, product_ids: Sequence[int]) -> tuple[Row | None, dict[int, Row]]:
        """Return a partner, or None, and its offers by product id."""

    async def create_order(self, order: Row) -> str | None:
        """Save an order and its event. Return the checkout URL of its bank, or None if the bank does not exist."""

    async def find_order(self, order_id: str, customer_id: str) -> Row | None:
        """Return an order of a customer, or None."""


class OrmRepository:
    """SQLAlchemy ORM with models, sessions and eager loading."""

    def __init__(self, url: str) -> None:
        self._engine = create_async_engine(url.replace("postgresql://", "postgresql+psycopg://"), pool_size=POOL_SIZE)
        self._session = async_sessionmaker(self._engine, expire_on_commit=False)

    async def open(self) -> None:
        """Do nothing: the engine connects lazily."""

    async def list_catalog(self, after: int, size: int) -> list[Row]:
        """Return partners with their products. Uses three statements because of `selectinload`."""
        statement = (
            select(Partner)
            .where(Partner.id > after, Partner.verified, Partner.enabled)
            .order_by(Partner.id)
            .limit(size)
            .options(selectinload(Partner.offers.and_(Offer.active)).selectinload(Offer.product))
        )
        async with self._session() as session:
            partners = (await session.scalars(statement)).all()
        return [
            {
                "id": partner.id,
                "title": partner.title,
                "brand": partner.brand,
                "address": partner.address,
                "products": [
                    {
                        "id": offer.product.id,
                        "title": offer.product.title,
                        "description": offer.product.description,
                        "picture_url": offer.product.picture_url,
                        "price": offer.price,
                        "currency": offer.currency,
                    }
                    for offer in partner.offers[:50]
                ],
                "products_truncated": len(partner.offers) > 50,
                "is_open": True,
                "delivery_fee": partner.delivery_fee,
                "delivery_fee_currency": partner.delivery_fee_currency,
            }
            for partner in partners
        ]

    async def find_offers(self, partner_id: int, product_ids: Sequence[int]) -> tuple[Row | None, dict[int, Row]]:
        """Return a partner and its offers with two statements."""
        async with self._session() as session:
            partner = await session.get(Partner, partner_id)
            statement = (
                select(Offer)
                .where(Offer.partner_id == partner_id, Offer.active, Offer.product_id.in_(product_ids))
                .options(selectinload(Offer.product))
            )
            offers = (await session.scalars(statement)).all()
        if partner is None or not (partner.verified and partner.enabled):
            return None, {}
        offers_by_product = {
            offer.product_id: {"title": offer.product.title, "price": offer.price, "currency": offer.currency}
            for offer in offers
        }
        return {"id": partner.id, "title": partner.title, "brand": partner.brand}, offers_by_product

    async def create_order(self, order: Row) -> str | None:
        """Save an order and its event in one transaction."""
        async with self._session.begin() as session:
            bank = await session.get(Bank, order["bank_id"])
            if bank is None or not bank.active:
                return None
            session.add(Order(**order))
            session.add(Outbox(**build_event(order, "orders.created", "customer")))
            return bank.webcheckout_url

    async def find_order(self, order_id: str, customer_id: str) -> Row | None:
        """Return an order of a customer with one statement."""
        async with self._session() as session:
            order = await session.get(Order, order_id)
        if order is None or order.customer_id != customer_id:
            return None
        return {name: getattr(order, name) for name in ORDER_COLUMNS}


class RawRepository:
    """SQL statements on psycopg."""

    def __init__(self, url: str) -> None:
        options = {"row_factory": dict_row, "prepare_threshold": 0, "autocommit": True}
        self.pool = AsyncConnectionPool(url, min_size=POOL_SIZE, max_size=POOL_SIZE, kwargs=options, open=False)

    async def open(self) -> None:
        """Open the connection pool."""
        await self.pool.open(wait=True)

    async def _fetch_all(self, sql: str, **values: Any) -> list[Row]:
        async with self.pool.connection() as connection:
            return await (await connection.execute(sql.encode(), values)).fetchall()  # type: ignore[return-value]

    async def list_catalog(self, after: int, size: int) -> list[Row]:
        """Return partners with their products with one statement."""
        rows = await self._fetch_all(
            "SELECT p.id, p.title, p.brand, p.address, p.delivery_fee, p.delivery_fee_currency,"
            " jsonb_agg(jsonb_build_object('id', r.id, 'title', r.title,"
            " 'description', r.description, 'picture_url', r.picture_url, 'price', a.price, 'currency', a.currency)"
            " ORDER BY r.id) AS products FROM (SELECT * FROM partners WHERE id > %(after)s AND verified AND enabled"
            " ORDER BY id LIMIT %(size)s) p JOIN availability a ON a.partner_id = p.id AND a.active"
            " JOIN products r ON r.id = a.product_id GROUP BY p.id, p.title, p.brand, p.address,"
            " p.delivery_fee, p.delivery_fee_currency ORDER BY p.id",
            after=after,
            size=size,
        )
        for row in rows:
            row["products_truncated"] = len(row["products"]) > 50
            row["products"] = row["products"][:50]
            row["is_open"] = True
        return rows

    async def find_offers(self, partner_id: int, product_ids: Sequence[int]) -> tuple[Row | None, dict[int, Row]]:
        """Return a partner and its offers with one statement."""
        rows = await self._fetch_all(
            "SELECT p.id, p.title, p.brand, a.product_id, r.title AS product, a.price, a.currency FROM partners p"
            " JOIN availability a ON a.partner_id = p.id AND a.active JOIN products r ON r.id = a.product_id"
            " WHERE p.id = %(partner)s AND p.verified AND p.enabled AND a.product_id = ANY(%(products)s)",
            partner=partner_id,
            products=list(product_ids),
        )
        if not rows:
            return None, {}
        partner = {name: rows[0][name] for name in ("id", "title", "brand")}
        return partner, {
            row["product_id"]: {"title": row["product"], "price": row["price"], "currency": row["currency"]}
            for row in rows
        }

    async def create_order(self, order: Row) -> str | None:
        """Save an order and its event in one transaction of two statements."""
        values = order | {"partner": Jsonb(order["partner"]), "items": Jsonb(order["items"])}
        names = ", ".join(values)
        async with self.pool.connection() as connection, connection.transaction():
            banks = await connection.execute(
                "SELECT webcheckout_url FROM banks WHERE id = %s AND active", [order["bank_id"]]
            )
            bank = await banks.fetchone()
            if bank is None:
                return None
            placeholders = ", ".join(f"%({name})s" for name in values)
            event = build_event(order, "orders.created", "customer")
            await connection.execute(
                f"WITH inserted AS (INSERT INTO orders ({names}) VALUES ({placeholders}))"  # noqa: S608 (internal names)
                " INSERT INTO outbox (type, subject, payload, at)"
                " VALUES (%(e_type)s, %(e_subject)s, %(e_payload)s, %(e_at)s)".encode(),
                values | {f"e_{name}": value for name, value in event.items()},
            )
            return str(bank["webcheckout_url"])  # type: ignore[call-overload]

    async def find_order(self, order_id: str, customer_id: str) -> Row | None:
        """Return an order of a customer with one statement."""
        rows = await self._fetch_all(
            f"SELECT {', '.join(ORDER_COLUMNS)} FROM orders WHERE id = %(id)s AND customer_id = %(customer)s",  # noqa: S608
            id=order_id,
            customer=customer_id,
        )
        return rows[0] if rows else None


def create_repository(kind: str, url: str) -> Repository:
    """Return the repository of a kind: `orm` or `raw`."""
    return OrmRepository(url) if kind == "orm" else RawRepository(url)
