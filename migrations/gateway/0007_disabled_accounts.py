"""Add whether an account is disabled, which only the identity provider stored."""

import sqlalchemy as sa
from alembic import op

revision = "gateway_0007"
down_revision = "gateway_0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("accounts", sa.Column("disabled", sa.Boolean, nullable=False, server_default="false"))
