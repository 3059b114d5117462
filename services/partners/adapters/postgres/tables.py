"""Tables of the partners database."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from services.partners.domain.call_policy import CallKind, CallState
from services.runtime.messaging.inbox import define_inbox_table
from services.runtime.messaging.outbox import define_outbox_table
from services.runtime.storage.database import TIMESTAMPTZ
from services.runtime.storage.idempotency import build_keys_table

metadata = sa.MetaData()
define_outbox_table(metadata)
define_inbox_table(metadata)
build_keys_table(metadata)

partners = sa.Table(
    "partners",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("brand", sa.Text, nullable=False),
    sa.Column("phone", sa.Text, nullable=False),
    sa.Column("email", sa.Text, nullable=False),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("api_url", sa.Text, nullable=False),
    sa.Column("webhook_secret", sa.LargeBinary, nullable=False),
    sa.Column("verified", sa.Boolean, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("old_secret", sa.LargeBinary),
    sa.Column("old_secret_until", TIMESTAMPTZ),
    sa.Column("gone", sa.Boolean, nullable=False, server_default="false"),
    sa.Column("version", sa.BigInteger, nullable=False, server_default="1"),
    sa.CheckConstraint("NOT (gone AND enabled)", name="partners_gone"),
)
products = sa.Table(
    "products",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("picture_url", sa.Text),
    sa.Column("version", sa.BigInteger, nullable=False, server_default="1"),
)
sa.Index(
    "products_by_title_trigrams",
    sa.func.lower(products.c.title).label("words"),
    postgresql_using="gin",
    postgresql_ops={"words": "gin_trgm_ops"},
)
availability = sa.Table(
    "availability",
    metadata,
    sa.Column("partner_id", sa.BigInteger, sa.ForeignKey("partners.id"), primary_key=True),
    sa.Column("product_id", sa.BigInteger, sa.ForeignKey("products.id"), primary_key=True),
    sa.Column("price", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.CheckConstraint("price BETWEEN 0 AND 1000000000", name="availability_price"),
    sa.Index("availability_by_product", "product_id"),
)
calls = sa.Table(
    "partner_calls",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("partner_id", sa.BigInteger, sa.ForeignKey("partners.id"), nullable=False),
    sa.Column("order_id", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False, server_default="order"),
    sa.Column("payload", JSONB, nullable=False),
    sa.Column("trace", JSONB, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("answer", sa.Text),
    sa.Column("tries", JSONB, nullable=False, server_default="[]"),
    sa.Column("next_at", TIMESTAMPTZ, nullable=False),
    sa.Column("leased_until", TIMESTAMPTZ),
    sa.Column("created_at", TIMESTAMPTZ, nullable=False),
    sa.CheckConstraint(f"state IN {tuple(map(str, CallState))}", name="partner_calls_state"),
    sa.CheckConstraint(f"kind IN {tuple(map(str, CallKind))}", name="partner_calls_kind"),
    sa.Index("partner_calls_due", "next_at", postgresql_where="state = 'waiting'"),
    sa.Index("partner_calls_in_progress", "partner_id", postgresql_where="leased_until IS NOT NULL"),
    sa.Index("partner_calls_order", "order_id", "partner_id"),
    sa.Index("partner_calls_unique", "order_id", "kind", unique=True),
    sa.Index("partner_calls_finished", "created_at", postgresql_where="state <> 'waiting'"),
    sa.Index("partner_calls_by_time", "created_at", "id"),
    sa.Index("partner_calls_by_partner", "partner_id", "created_at", "id"),
)
breakers = sa.Table(
    "partner_breakers",
    metadata,
    sa.Column("partner_id", sa.BigInteger, sa.ForeignKey("partners.id"), primary_key=True),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("open_until", TIMESTAMPTZ),
)
cancelled_orders = sa.Table(
    "cancelled_orders",
    metadata,
    sa.Column("order_id", sa.Text, primary_key=True),
    sa.Column("at", TIMESTAMPTZ, nullable=False),
    sa.Index("cancelled_orders_by_time", "at"),
)
