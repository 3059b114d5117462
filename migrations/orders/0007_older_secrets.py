"""Add webhook secrets that were replaced before the previous one and are still valid."""

import sqlalchemy as sa
from alembic import op

revision = "orders_0007"
down_revision = "orders_0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("banks", sa.Column("older_secrets", sa.LargeBinary))
