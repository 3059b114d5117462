"""Tables of the partners database."""

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, MetaData, Table, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import BigInteger, Boolean, Integer, LargeBinary, Text

from services.partners.domain.call_policy import CallKind, CallState
from services.runtime.messaging.inbox import define_inbox_table
from services.runtime.messaging.outbox import define_outbox_table
from services.runtime.storage.idempotency import build_keys_table
from services.runtime.storage.statements.statement import TIMESTAMPTZ
from services.runtime.storage.statements.text_comparison import normalise_case

SORT_TITLE_LENGTH = 64
"""Length of the start of a title by which lists are ordered, so that a page token is short."""

metadata = MetaData()
define_outbox_table(metadata)
define_inbox_table(metadata)
build_keys_table(metadata)

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
    Column("old_secret_until", TIMESTAMPTZ),
    Column("older_secrets", LargeBinary),
    Column("picture_url", Text),
    Column("opening_hours", JSONB(none_as_null=True)),
    Column("delivery_fee", BigInteger, nullable=False, server_default="0"),
    Column("delivery_fee_currency", Text, nullable=False, server_default="USD"),
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
    Column("category", Text),
    Column("version", BigInteger, nullable=False, server_default="1"),
    Index("products_by_category", "category", postgresql_where="category IS NOT NULL"),
)
Index("partners_by_title", func.left(func.lower(partners.c.title), SORT_TITLE_LENGTH), partners.c.id)
Index(
    "products_by_title_trigrams",
    func.lower(products.c.title).label("words"),
    postgresql_using="gin",
    postgresql_ops={"words": "gin_trgm_ops"},
)
Index(
    "products_by_folded_title",
    normalise_case(products.c.title).label("words"),
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
    Index("availability_by_price", "partner_id", "price", "product_id"),
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
    Column("response", Text),
    Column("tries", JSONB, nullable=False, server_default="[]"),
    Column("next_at", TIMESTAMPTZ, nullable=False),
    Column("leased_until", TIMESTAMPTZ),
    Column("created_at", TIMESTAMPTZ, nullable=False),
    CheckConstraint(f"state IN {tuple(map(str, CallState))}", name="partner_calls_state"),
    CheckConstraint(f"kind IN {tuple(map(str, CallKind))}", name="partner_calls_kind"),
    Index("partner_calls_due", "next_at", postgresql_where="state = 'waiting'"),
    Index("partner_calls_in_progress", "partner_id", postgresql_where="leased_until IS NOT NULL"),
    Index("partner_calls_order", "order_id", "partner_id"),
    Index("partner_calls_unique", "order_id", "kind", unique=True),
    Index("partner_calls_finished", "created_at", postgresql_where="state <> 'waiting'"),
    Index("partner_calls_by_time", "created_at", "id"),
    Index("partner_calls_by_partner", "partner_id", "created_at", "id"),
)
breakers = Table(
    "partner_breakers",
    metadata,
    Column("partner_id", BigInteger, ForeignKey("partners.id"), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("open_until", TIMESTAMPTZ),
)
cancelled_orders = Table(
    "cancelled_orders",
    metadata,
    Column("order_id", Text, primary_key=True),
    Column("at", TIMESTAMPTZ, nullable=False),
    Index("cancelled_orders_by_time", "at"),
)
ready_callbacks = Table(
    "ready_callbacks",
    metadata,
    Column("partner_id", BigInteger, primary_key=True),
    Column("webhook_id", Text, primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("at", TIMESTAMPTZ, nullable=False, server_default=func.now()),
    Index("ready_callbacks_by_time", "at"),
)
