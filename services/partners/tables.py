"""Partners' tables."""

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
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

from services.partners.retries import CallKind, CallState
from services.runtime.idempotency import keys_table
from services.runtime.inbox import inbox_table
from services.runtime.outbox import outbox_table

metadata = MetaData()
outbox_table(metadata)
inbox_table(metadata)
keys_table(metadata)

TIME = DateTime(timezone=True)

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
    Column("old_secret", LargeBinary),
    Column("old_secret_until", TIME),
    Column("gone", Boolean, nullable=False, server_default="false"),
    Column("version", BigInteger, nullable=False, server_default="1"),
    CheckConstraint("NOT (gone AND enabled)", name="partners_gone"),
)
products = Table(
    "products",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("title", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("picture_url", Text),
    Column("version", BigInteger, nullable=False, server_default="1"),
)
Index(
    "products_by_words",
    func.lower(products.c.title).label("words"),
    postgresql_using="gin",
    postgresql_ops={"words": "gin_trgm_ops"},
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
    Index("availability_by_product", "product_id"),
)
calls = Table(
    "partner_calls",
    metadata,
    Column("id", Text, primary_key=True),
    Column("partner_id", BigInteger, ForeignKey("partners.id"), nullable=False),
    Column("order_id", Text, nullable=False),
    Column("kind", Text, nullable=False, server_default="order"),
    Column("payload", JSONB, nullable=False),
    Column("trace", JSONB, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("answer", Text),
    Column("tries", JSONB, nullable=False, server_default="[]"),
    Column("next_at", TIME, nullable=False),
    Column("leased_until", TIME),
    Column("created_at", TIME, nullable=False),
    CheckConstraint(f"state IN {tuple(map(str, CallState))}", name="partner_calls_state"),
    CheckConstraint(f"kind IN {tuple(map(str, CallKind))}", name="partner_calls_kind"),
    Index("partner_calls_due", "next_at", postgresql_where="state = 'waiting'"),
    Index("partner_calls_under_way", "partner_id", postgresql_where="leased_until IS NOT NULL"),
    Index("partner_calls_order", "order_id", "partner_id"),
    Index("partner_calls_once", "order_id", "kind", unique=True),
    Index("partner_calls_over", "created_at", postgresql_where="state <> 'waiting'"),
    Index("partner_calls_by_time", "created_at", "id"),
    Index("partner_calls_by_partner", "partner_id", "created_at", "id"),
)
breakers = Table(
    "partner_breakers",
    metadata,
    Column("partner_id", BigInteger, ForeignKey("partners.id"), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("open_until", TIME),
)
cancelled = Table(
    "cancelled_orders",
    metadata,
    Column("order_id", Text, primary_key=True),
    Column("at", TIME, nullable=False),
    Index("cancelled_orders_by_time", "at"),
)
