"""Add webhook secrets that were replaced before the previous one and are still valid."""

import sqlalchemy as sa
from alembic import op

revision = "partners_0006"
down_revision = "partners_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("partners", sa.Column("older_secrets", sa.LargeBinary))
