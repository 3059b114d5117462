"""Tables of orders. Check constraints enforce the invariants, such as the amount of a paid order."""

from sqlalchemy import CheckConstraint, Column, ForeignKey, Identity, Index, MetaData, Table, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import BigInteger, Boolean, Double, Integer, LargeBinary, Text

from services.orders.domain.orders import OrderStatus, RefundStatus
from services.runtime.messaging.inbox import define_inbox_table
from services.runtime.messaging.outbox import define_outbox_table
from services.runtime.storage.idempotency import build_keys_table
from services.runtime.storage.statements.statement import TIMESTAMPTZ

metadata = MetaData()
define_outbox_table(metadata)
define_inbox_table(metadata)
build_keys_table(metadata)

banks = Table(
    "banks",
    metadata,
    Column("id", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("webcheckout_url", Text, nullable=False),
    Column("api_url", Text, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("webhook_secret", LargeBinary, nullable=False),
    Column("old_secret", LargeBinary),
    Column("old_secret_until", TIMESTAMPTZ),
    Column("older_secrets", LargeBinary),
    Column("version", BigInteger, nullable=False, server_default="1"),
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
    Column("created_at", TIMESTAMPTZ, nullable=False),
    Column("updated_at", TIMESTAMPTZ, nullable=False),
    Column("ready_at", TIMESTAMPTZ),
    Column("partner_notified_at", TIMESTAMPTZ),
    Column("reconciled_at", TIMESTAMPTZ),
    Column("address", JSONB(none_as_null=True)),
    Column("note", Text),
    Column("tip_amount", BigInteger, nullable=False, server_default="0"),
    Column("delivery_fee", BigInteger, nullable=False, server_default="0"),
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
    CheckConstraint("version >= 1", name="orders_version"),
    CheckConstraint("0 <= tip_amount AND tip_amount <= total_amount", name="orders_tip"),
    CheckConstraint("status NOT IN ('pending', 'expired') OR payment_id IS NULL", name="orders_unpaid"),
    CheckConstraint("cancel_reason IS NULL OR status = 'cancelled'", name="orders_reason"),
    Index("orders_by_customer", "customer_id", "created_at", "id"),
    Index("orders_by_deliverer", "deliverer_id", "created_at", "id", postgresql_where="deliverer_id IS NOT NULL"),
    Index("orders_by_created_at", "created_at", "id"),
    Index("orders_by_ready_at", "ready_at", "id", postgresql_where="status = 'ready'"),
    Index("orders_pending_by_created_at", "created_at", postgresql_where="status = 'pending'"),
    Index("orders_by_updated_at", "updated_at"),
    Index("orders_unreconciled", "updated_at", postgresql_where="reconciled_at IS NULL"),
    Index("orders_reconciled", "reconciled_at"),
    Index("orders_in_progress", "updated_at", postgresql_where="status IN ('paid', 'ready')"),
)
order_transitions = Table(
    "order_transitions",
    metadata,
    Column("order_id", Text, ForeignKey("orders.id"), primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("status", Text, nullable=False),
    Column("at", TIMESTAMPTZ, nullable=False),
    Column("actor", Text, nullable=False),
    Column("note", Text),
)
deliverer_positions = Table(
    "deliverer_positions",
    metadata,
    Column("order_id", Text, ForeignKey("orders.id"), primary_key=True),
    Column("latitude", Double, nullable=False),
    Column("longitude", Double, nullable=False),
    Column("at", TIMESTAMPTZ, nullable=False),
    prefixes=["UNLOGGED"],
)
alerts = Table(
    "alerts",
    metadata,
    Column("subject", Text, primary_key=True),
    Column("reason", Text, primary_key=True),
    Column("at", TIMESTAMPTZ, nullable=False),
)
anonymised_customers = Table(
    "anonymised_customers",
    metadata,
    Column("customer_id", Text, primary_key=True),
)
callbacks = Table(
    "callbacks",
    metadata,
    Column("bank_id", Text, primary_key=True),
    Column("webhook_id", Text, primary_key=True),
    Column("payment_id", Text, nullable=False),
    Column("outcome", Text),
    Column("at", TIMESTAMPTZ, nullable=False, server_default=func.now()),
    Column("fingerprint", LargeBinary),
    Index("callbacks_by_time", "at"),
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
    Column("at", TIMESTAMPTZ, nullable=False),
    Column("reconciled_at", TIMESTAMPTZ),
    CheckConstraint("0 <= refund_amount AND refund_amount <= amount", name="payments_refund"),
    Index("payments_one_paid_per_order", "order_id", unique=True, postgresql_where="outcome IN ('paid', 'overpaid')"),
    Index("payments_by_order", "order_id"),
    Index("payments_by_time", "at"),
    Index("payments_unreconciled", "at", postgresql_where="reconciled_at IS NULL"),
    Index("payments_reconciled", "reconciled_at"),
)
rejected_payments = Table(
    "rejected_payments",
    metadata,
    Column("bank_id", Text, primary_key=True),
    Column("payment_id", Text, primary_key=True),
    Column("order_id", Text, primary_key=True),
    Column("amount", BigInteger, primary_key=True),
    Column("currency", Text, primary_key=True),
    Column("outcome", Text, nullable=False),
    Column("refund_amount", BigInteger, nullable=False),
    Column("at", TIMESTAMPTZ, nullable=False),
    Index("rejected_payments_by_order", "order_id"),
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
    Column("created_at", TIMESTAMPTZ, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_at", TIMESTAMPTZ, nullable=False),
    Column("last_response", Text),
    Column("trace", JSONB),
    CheckConstraint("amount > 0", name="refunds_amount"),
    CheckConstraint("status IN ('requested', 'refunded', 'failed')", name="refunds_status"),
    Index("refunds_by_order", "order_id"),
    Index("refunds_due", "next_at", postgresql_where="status = 'requested'"),
    Index("refunds_by_created_at", "created_at", "id"),
    Index("refunds_failed", "created_at", "id", postgresql_where="status = 'failed'"),
)
refund_actions = Table(
    "refund_actions",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("refund_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("at", TIMESTAMPTZ, nullable=False),
    Column("note", Text),
    Index("refund_actions_by_refund", "refund_id", "id"),
)
