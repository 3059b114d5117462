"""Add the delivery fee of a partner."""

import sqlalchemy as sa
from alembic import op

revision = "partners_0010"
down_revision = "partners_0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("partners", sa.Column("delivery_fee", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("partners", sa.Column("delivery_fee_currency", sa.Text, nullable=False, server_default="USD"))
