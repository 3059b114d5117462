"""Add fingerprints of payment callbacks, and the table of reports whose payment id belongs to another payment."""

import sqlalchemy as sa
from alembic import op

from migrations.common import TIMESTAMPTZ

revision = "orders_0006"
down_revision = "orders_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("callbacks", sa.Column("fingerprint", sa.LargeBinary))
    op.create_table(
        "rejected_payments",
        sa.Column("bank_id", sa.Text, primary_key=True),
        sa.Column("payment_id", sa.Text, primary_key=True),
        sa.Column("order_id", sa.Text, primary_key=True),
        sa.Column("amount", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("currency", sa.Text, primary_key=True),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("refund_amount", sa.BigInteger, nullable=False),
        sa.Column("at", TIMESTAMPTZ, nullable=False),
    )
    op.create_index("rejected_payments_by_order", "rejected_payments", ["order_id"])
