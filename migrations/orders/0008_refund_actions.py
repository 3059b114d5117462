"""Add the actions of admins on refunds, and indexes for the lists of refunds."""

import sqlalchemy as sa
from alembic import op

from migrations.common import TIMESTAMPTZ

revision = "orders_0008"
down_revision = "orders_0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "refund_actions",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("refund_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("at", TIMESTAMPTZ, nullable=False),
        sa.Column("note", sa.Text),
    )
    op.create_index("refund_actions_by_refund", "refund_actions", ["refund_id", "id"])
    op.create_index("refunds_by_created_at", "refunds", ["created_at", "id"])
    op.create_index("refunds_failed", "refunds", ["created_at", "id"], postgresql_where=sa.text("status = 'failed'"))
