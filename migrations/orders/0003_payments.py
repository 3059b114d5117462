"""Add order transitions, retries of refunds, secret rotation, idempotency keys and deduplicated alerts."""

import sqlalchemy as sa
from alembic import op

from migrations.common import TIMESTAMPTZ, create_idempotency_keys

revision = "orders_0003"
down_revision = "orders_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("banks", sa.Column("old_secret", sa.LargeBinary))
    op.add_column("banks", sa.Column("old_secret_until", TIMESTAMPTZ))
    op.add_column("banks", sa.Column("version", sa.BigInteger, nullable=False, server_default="1"))
    _alter_orders()
    _alter_payments()
    create_idempotency_keys()
    op.create_table(
        "alerts",
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("reason", sa.Text, primary_key=True),
        sa.Column("at", TIMESTAMPTZ, nullable=False),
    )


def _alter_orders() -> None:
    op.add_column("orders", sa.Column("partner_notified_at", TIMESTAMPTZ))
    op.add_column("orders", sa.Column("reconciled_at", TIMESTAMPTZ))
    op.create_check_constraint("orders_version", "orders", "version >= 1")
    op.create_check_constraint("orders_unpaid", "orders", "status NOT IN ('pending', 'expired') OR payment_id IS NULL")
    op.create_check_constraint("orders_reason", "orders", "cancel_reason IS NULL OR status = 'cancelled'")
    op.create_index(
        "orders_pending_by_created_at", "orders", ["created_at"], postgresql_where=sa.text("status = 'pending'")
    )
    op.create_index("orders_by_updated_at", "orders", ["updated_at"])
    op.create_index(
        "orders_in_progress", "orders", ["updated_at"], postgresql_where=sa.text("status IN ('paid', 'ready')")
    )
    op.create_table(
        "order_transitions",
        sa.Column("order_id", sa.Text, sa.ForeignKey("orders.id"), primary_key=True),
        sa.Column("version", sa.BigInteger, primary_key=True),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("at", TIMESTAMPTZ, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("note", sa.Text),
    )
    op.execute(
        "INSERT INTO order_transitions (order_id, version, status, at, actor) "
        "SELECT id, version, status, updated_at, 'system' FROM orders"
    )
    op.execute(
        "CREATE FUNCTION notify_order_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_notify('orders', NEW.order_id); RETURN NULL; END $$"
    )
    op.execute(
        "CREATE TRIGGER order_transition_inserted AFTER INSERT ON order_transitions "
        "FOR EACH ROW EXECUTE FUNCTION notify_order_change()"
    )


def _alter_payments() -> None:
    op.add_column("callbacks", sa.Column("outcome", sa.Text))
    op.add_column("payments", sa.Column("reconciled_at", TIMESTAMPTZ))
    op.create_index(
        "payments_one_paid_per_order",
        "payments",
        ["order_id"],
        unique=True,
        postgresql_where=sa.text("outcome IN ('paid', 'overpaid')"),
    )
    op.create_index("payments_by_order", "payments", ["order_id"])
    op.create_index("payments_by_time", "payments", ["at"])
    op.add_column("refunds", sa.Column("attempts", sa.Integer, nullable=False, server_default="0"))
    op.add_column("refunds", sa.Column("next_at", TIMESTAMPTZ, nullable=False, server_default=sa.text("now()")))
    op.add_column("refunds", sa.Column("last_response", sa.Text))
    op.create_index("refunds_by_order", "refunds", ["order_id"])
    op.create_index("refunds_due", "refunds", ["next_at"], postgresql_where=sa.text("status = 'requested'"))
