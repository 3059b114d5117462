"""Add the delivery fee of an order."""

import sqlalchemy as sa
from alembic import op

revision = "orders_0012"
down_revision = "orders_0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("orders", sa.Column("delivery_fee", sa.BigInteger, nullable=False, server_default="0"))
