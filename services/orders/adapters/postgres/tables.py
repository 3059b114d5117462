"""Tables of orders. Check constraints enforce the invariants, such as the amount of a paid order."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from services.orders.domain.orders import OrderStatus, RefundStatus
from services.runtime.messaging.inbox import define_inbox_table
from services.runtime.messaging.outbox import define_outbox_table
from services.runtime.storage.database import TIMESTAMPTZ
from services.runtime.storage.idempotency import build_keys_table

metadata = sa.MetaData()
define_outbox_table(metadata)
define_inbox_table(metadata)
build_keys_table(metadata)

banks = sa.Table(
    "banks",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("webcheckout_url", sa.Text, nullable=False),
    sa.Column("api_url", sa.Text, nullable=False),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("webhook_secret", sa.LargeBinary, nullable=False),
    sa.Column("old_secret", sa.LargeBinary),
    sa.Column("old_secret_until", TIMESTAMPTZ),
    sa.Column("version", sa.BigInteger, nullable=False, server_default="1"),
)
orders = sa.Table(
    "orders",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("check_id", sa.Text, nullable=False, unique=True),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("customer_id", sa.Text, nullable=False),
    sa.Column("customer_name", sa.Text),
    sa.Column("customer_phone", sa.Text),
    sa.Column("partner", JSONB, nullable=False),
    sa.Column("items", JSONB, nullable=False),
    sa.Column("total_amount", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("paid_amount", sa.BigInteger, nullable=False),
    sa.Column("refunded_amount", sa.BigInteger, nullable=False),
    sa.Column("refund_status", sa.Text, nullable=False),
    sa.Column("bank_id", sa.Text, sa.ForeignKey("banks.id"), nullable=False),
    sa.Column("payment_id", sa.Text),
    sa.Column("delivery_address", sa.Text, nullable=False),
    sa.Column("pickup_address", sa.Text),
    sa.Column("deliverer_id", sa.Text),
    sa.Column("cancel_reason", sa.Text),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("created_at", TIMESTAMPTZ, nullable=False),
    sa.Column("updated_at", TIMESTAMPTZ, nullable=False),
    sa.Column("ready_at", TIMESTAMPTZ),
    sa.Column("partner_notified_at", TIMESTAMPTZ),
    sa.Column("reconciled_at", TIMESTAMPTZ),
    sa.CheckConstraint(f"status IN {tuple(map(str, OrderStatus))}", name="orders_status"),
    sa.CheckConstraint(f"refund_status IN {tuple(map(str, RefundStatus))}", name="orders_refund_status"),
    sa.CheckConstraint(
        "total_amount >= 0 AND 0 <= refunded_amount AND refunded_amount <= paid_amount", name="orders_money"
    ),
    sa.CheckConstraint(
        "status NOT IN ('paid', 'ready', 'delivering', 'delivered')"
        " OR (paid_amount >= total_amount AND payment_id IS NOT NULL)",
        name="orders_paid",
    ),
    sa.CheckConstraint(
        "status NOT IN ('delivering', 'delivered') OR deliverer_id IS NOT NULL", name="orders_deliverer"
    ),
    sa.CheckConstraint(
        "status <> 'ready' OR (pickup_address IS NOT NULL AND ready_at IS NOT NULL)", name="orders_ready"
    ),
    sa.CheckConstraint("version >= 1", name="orders_version"),
    sa.CheckConstraint("status NOT IN ('pending', 'expired') OR payment_id IS NULL", name="orders_unpaid"),
    sa.CheckConstraint("cancel_reason IS NULL OR status = 'cancelled'", name="orders_reason"),
    sa.Index("orders_by_customer", "customer_id", "created_at", "id"),
    sa.Index("orders_by_deliverer", "deliverer_id", "created_at", "id", postgresql_where="deliverer_id IS NOT NULL"),
    sa.Index("orders_by_created_at", "created_at", "id"),
    sa.Index("orders_by_ready_at", "ready_at", "id", postgresql_where="status = 'ready'"),
    sa.Index("orders_pending_by_created_at", "created_at", postgresql_where="status = 'pending'"),
    sa.Index("orders_by_updated_at", "updated_at"),
    sa.Index("orders_unreconciled", "updated_at", postgresql_where="reconciled_at IS NULL"),
    sa.Index("orders_reconciled", "reconciled_at"),
    sa.Index("orders_in_progress", "updated_at", postgresql_where="status IN ('paid', 'ready')"),
)
order_transitions = sa.Table(
    "order_transitions",
    metadata,
    sa.Column("order_id", sa.Text, sa.ForeignKey("orders.id"), primary_key=True),
    sa.Column("version", sa.BigInteger, primary_key=True),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("at", TIMESTAMPTZ, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("note", sa.Text),
)
alerts = sa.Table(
    "alerts",
    metadata,
    sa.Column("subject", sa.Text, primary_key=True),
    sa.Column("reason", sa.Text, primary_key=True),
    sa.Column("at", TIMESTAMPTZ, nullable=False),
)
anonymised_customers = sa.Table(
    "anonymised_customers",
    metadata,
    sa.Column("customer_id", sa.Text, primary_key=True),
)
callbacks = sa.Table(
    "callbacks",
    metadata,
    sa.Column("bank_id", sa.Text, primary_key=True),
    sa.Column("webhook_id", sa.Text, primary_key=True),
    sa.Column("payment_id", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text),
    sa.Column("at", TIMESTAMPTZ, nullable=False, server_default=sa.func.now()),
    sa.Index("callbacks_by_time", "at"),
)
payments = sa.Table(
    "payments",
    metadata,
    sa.Column("bank_id", sa.Text, primary_key=True),
    sa.Column("payment_id", sa.Text, primary_key=True),
    sa.Column("order_id", sa.Text, nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("refund_amount", sa.BigInteger, nullable=False),
    sa.Column("at", TIMESTAMPTZ, nullable=False),
    sa.Column("reconciled_at", TIMESTAMPTZ),
    sa.CheckConstraint("0 <= refund_amount AND refund_amount <= amount", name="payments_refund"),
    sa.Index(
        "payments_one_paid_per_order", "order_id", unique=True, postgresql_where="outcome IN ('paid', 'overpaid')"
    ),
    sa.Index("payments_by_order", "order_id"),
    sa.Index("payments_by_time", "at"),
    sa.Index("payments_unreconciled", "at", postgresql_where="reconciled_at IS NULL"),
    sa.Index("payments_reconciled", "reconciled_at"),
)
refunds = sa.Table(
    "refunds",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("bank_id", sa.Text, nullable=False),
    sa.Column("payment_id", sa.Text, nullable=False),
    sa.Column("order_id", sa.Text, nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("created_at", TIMESTAMPTZ, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("next_at", TIMESTAMPTZ, nullable=False),
    sa.Column("last_response", sa.Text),
    sa.Column("trace", JSONB),
    sa.CheckConstraint("amount > 0", name="refunds_amount"),
    sa.CheckConstraint("status IN ('requested', 'refunded', 'failed')", name="refunds_status"),
    sa.Index("refunds_by_order", "order_id"),
    sa.Index("refunds_due", "next_at", postgresql_where="status = 'requested'"),
)
