"""Add notes to the partner, the parts of the delivery address, and tips."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "orders_0009"
down_revision = "orders_0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("orders", sa.Column("address", JSONB))
    op.add_column("orders", sa.Column("note", sa.Text))
    op.add_column("orders", sa.Column("tip_amount", sa.BigInteger, nullable=False, server_default="0"))
    op.create_check_constraint(
        "orders_tip", "orders", "0 <= tip_amount AND tip_amount <= total_amount", postgresql_not_valid=True
    )
