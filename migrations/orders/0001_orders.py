"""Create the tables of banks, orders, payments and refunds."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from migrations.common import TIMESTAMPTZ, create_inbox, create_outbox

revision = "orders_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "banks",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("webcheckout_url", sa.Text, nullable=False),
        sa.Column("api_url", sa.Text, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("webhook_secret", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "orders",
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
        sa.CheckConstraint(
            "status IN ('pending', 'paid', 'ready', 'delivering', 'delivered', 'cancelled', 'expired')",
            name="orders_status",
        ),
        sa.CheckConstraint("refund_status IN ('none', 'requested', 'refunded', 'failed')", name="orders_refund_status"),
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
    )
    op.create_index("orders_by_customer", "orders", ["customer_id", "created_at", "id"])
    op.create_index(
        "orders_by_deliverer",
        "orders",
        ["deliverer_id", "created_at", "id"],
        postgresql_where=sa.text("deliverer_id IS NOT NULL"),
    )
    op.create_index("orders_by_created_at", "orders", ["created_at", "id"])
    op.create_index("orders_by_ready_at", "orders", ["ready_at", "id"], postgresql_where=sa.text("status = 'ready'"))
    op.create_table(
        "callbacks",
        sa.Column("bank_id", sa.Text, primary_key=True),
        sa.Column("webhook_id", sa.Text, primary_key=True),
        sa.Column("payment_id", sa.Text, nullable=False),
    )
    op.create_table(
        "payments",
        sa.Column("bank_id", sa.Text, primary_key=True),
        sa.Column("payment_id", sa.Text, primary_key=True),
        sa.Column("order_id", sa.Text, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("refund_amount", sa.BigInteger, nullable=False),
        sa.Column("at", TIMESTAMPTZ, nullable=False),
        sa.CheckConstraint("0 <= refund_amount AND refund_amount <= amount", name="payments_refund"),
    )
    op.create_table(
        "refunds",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("bank_id", sa.Text, nullable=False),
        sa.Column("payment_id", sa.Text, nullable=False),
        sa.Column("order_id", sa.Text, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("created_at", TIMESTAMPTZ, nullable=False),
        sa.CheckConstraint("amount > 0", name="refunds_amount"),
        sa.CheckConstraint("status IN ('requested', 'refunded', 'failed')", name="refunds_status"),
    )
    create_outbox()
    create_inbox()
