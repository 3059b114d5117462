"""Orders' tables. The database itself refuses what cannot be: a paid order without its money, say."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB

from services.orders.domain import OrderStatus, RefundStatus
from services.runtime.inbox import inbox_table
from services.runtime.outbox import outbox_table

metadata = MetaData()
outbox_table(metadata)
inbox_table(metadata)

TIME = DateTime(timezone=True)

banks = Table(
    "banks",
    metadata,
    Column("id", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("webcheckout_url", Text, nullable=False),
    Column("api_url", Text, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("webhook_secret", LargeBinary, nullable=False),
)
orders = Table(
    "orders",
    metadata,
    Column("id", Text, primary_key=True),
    Column("check_id", Text, nullable=False, unique=True),
    Column("status", Text, nullable=False),
    Column("customer_id", Text, nullable=False),
    Column("customer_name", Text),
    Column("customer_phone", Text),
    Column("partner", JSONB, nullable=False),
    Column("items", JSONB, nullable=False),
    Column("total_amount", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("paid_amount", BigInteger, nullable=False),
    Column("refunded_amount", BigInteger, nullable=False),
    Column("refund_status", Text, nullable=False),
    Column("bank_id", Text, ForeignKey("banks.id"), nullable=False),
    Column("payment_id", Text),
    Column("delivery_address", Text, nullable=False),
    Column("pickup_address", Text),
    Column("deliverer_id", Text),
    Column("cancel_reason", Text),
    Column("version", BigInteger, nullable=False),
    Column("created_at", TIME, nullable=False),
    Column("updated_at", TIME, nullable=False),
    Column("ready_at", TIME),
    CheckConstraint(f"status IN {tuple(map(str, OrderStatus))}", name="orders_status"),
    CheckConstraint(f"refund_status IN {tuple(map(str, RefundStatus))}", name="orders_refund_status"),
    CheckConstraint(
        "total_amount >= 0 AND 0 <= refunded_amount AND refunded_amount <= paid_amount", name="orders_money"
    ),
    CheckConstraint(
        "status NOT IN ('paid', 'ready', 'delivering', 'delivered')"
        " OR (paid_amount >= total_amount AND payment_id IS NOT NULL)",
        name="orders_paid",
    ),
    CheckConstraint("status NOT IN ('delivering', 'delivered') OR deliverer_id IS NOT NULL", name="orders_deliverer"),
    CheckConstraint("status <> 'ready' OR (pickup_address IS NOT NULL AND ready_at IS NOT NULL)", name="orders_ready"),
    Index("orders_by_customer", "customer_id", "created_at", "id"),
    Index("orders_by_deliverer", "deliverer_id", "created_at", "id", postgresql_where="deliverer_id IS NOT NULL"),
    Index("orders_by_time", "created_at", "id"),
    Index("orders_ready_longest", "ready_at", "id", postgresql_where="status = 'ready'"),
)
forgotten = Table(
    "forgotten",
    metadata,
    Column("customer_id", Text, primary_key=True),
)
callbacks = Table(
    "callbacks",
    metadata,
    Column("bank_id", Text, primary_key=True),
    Column("webhook_id", Text, primary_key=True),
    Column("payment_id", Text, nullable=False),
)
payments = Table(
    "payments",
    metadata,
    Column("bank_id", Text, primary_key=True),
    Column("payment_id", Text, primary_key=True),
    Column("order_id", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("refund_amount", BigInteger, nullable=False),
    Column("at", TIME, nullable=False),
    CheckConstraint("0 <= refund_amount AND refund_amount <= amount", name="payments_refund"),
)
refunds = Table(
    "refunds",
    metadata,
    Column("id", Text, primary_key=True),
    Column("bank_id", Text, nullable=False),
    Column("payment_id", Text, nullable=False),
    Column("order_id", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("created_at", TIME, nullable=False),
    CheckConstraint("amount > 0", name="refunds_amount"),
    CheckConstraint("status IN ('requested', 'refunded', 'failed')", name="refunds_status"),
)
