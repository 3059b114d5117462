"""Create tables of partners, products, prices and calls to partner systems."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from migrations.common import TIMESTAMPTZ, create_inbox, create_outbox

revision = "partners_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "partners",
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
    )
    op.create_table(
        "products",
        sa.Column("id", sa.BigInteger, primary_key=True),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("picture_url", sa.Text),
    )
    op.create_table(
        "availability",
        sa.Column("partner_id", sa.BigInteger, sa.ForeignKey("partners.id"), primary_key=True),
        sa.Column("product_id", sa.BigInteger, sa.ForeignKey("products.id"), primary_key=True),
        sa.Column("price", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.CheckConstraint("price BETWEEN 0 AND 1000000000", name="availability_price"),
    )
    op.create_table(
        "partner_calls",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("partner_id", sa.BigInteger, sa.ForeignKey("partners.id"), nullable=False),
        sa.Column("order_id", sa.Text, nullable=False),
        sa.Column("payload", JSONB, nullable=False),
        sa.Column("trace", JSONB, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("response", sa.Text),
        sa.Column("next_at", TIMESTAMPTZ, nullable=False),
        sa.Column("created_at", TIMESTAMPTZ, nullable=False),
        sa.CheckConstraint("state IN ('waiting', 'delivered', 'failed')", name="partner_calls_state"),
    )
    op.create_index("partner_calls_due", "partner_calls", ["next_at"], postgresql_where=sa.text("state = 'waiting'"))
    op.create_index("partner_calls_order", "partner_calls", ["order_id", "partner_id"])
    create_outbox()
    create_inbox()
