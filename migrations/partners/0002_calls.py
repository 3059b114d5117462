"""Add call kinds, stored attempts, circuit breakers, secret overlap, versions and idempotency keys."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from migrations.common import TIMESTAMPTZ, create_idempotency_keys

revision = "partners_0002"
down_revision = "partners_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("partners", sa.Column("old_secret", sa.LargeBinary))
    op.add_column("partners", sa.Column("old_secret_until", TIMESTAMPTZ))
    op.add_column("partners", sa.Column("gone", sa.Boolean, nullable=False, server_default="false"))
    op.add_column("partners", sa.Column("version", sa.BigInteger, nullable=False, server_default="1"))
    op.create_check_constraint("partners_gone", "partners", "NOT (gone AND enabled)")
    op.add_column("products", sa.Column("version", sa.BigInteger, nullable=False, server_default="1"))
    op.create_index("availability_by_product", "availability", ["product_id"])
    _alter_calls()
    op.create_table(
        "partner_breakers",
        sa.Column("partner_id", sa.BigInteger, sa.ForeignKey("partners.id"), primary_key=True, autoincrement=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("open_until", TIMESTAMPTZ),
    )
    op.create_table(
        "cancelled_orders",
        sa.Column("order_id", sa.Text, primary_key=True),
        sa.Column("at", TIMESTAMPTZ, nullable=False),
    )
    create_idempotency_keys()


def _alter_calls() -> None:
    op.add_column("partner_calls", sa.Column("kind", sa.Text, nullable=False, server_default="order"))
    op.add_column("partner_calls", sa.Column("tries", JSONB, nullable=False, server_default="[]"))
    op.add_column("partner_calls", sa.Column("leased_until", TIMESTAMPTZ))
    op.drop_constraint("partner_calls_state", "partner_calls")
    op.create_check_constraint(
        "partner_calls_state", "partner_calls", "state IN ('waiting', 'delivered', 'failed', 'withdrawn')"
    )
    op.create_check_constraint("partner_calls_kind", "partner_calls", "kind IN ('order', 'cancellation')")
    op.create_index(
        "partner_calls_in_progress",
        "partner_calls",
        ["partner_id"],
        postgresql_where=sa.text("leased_until IS NOT NULL"),
    )
    op.create_index("partner_calls_unique", "partner_calls", ["order_id", "kind"], unique=True)
    op.create_index("partner_calls_by_time", "partner_calls", ["created_at", "id"])
    op.create_index("partner_calls_by_partner", "partner_calls", ["partner_id", "created_at", "id"])
