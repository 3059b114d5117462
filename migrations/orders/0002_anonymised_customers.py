"""Create the table of anonymised customers, whose orders are anonymised once they become final."""

import sqlalchemy as sa
from alembic import op

revision = "orders_0002"
down_revision = "orders_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("anonymised_customers", sa.Column("customer_id", sa.Text, primary_key=True))
