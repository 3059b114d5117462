"""Add the picture of a partner."""

import sqlalchemy as sa
from alembic import op

revision = "partners_0007"
down_revision = "partners_0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("partners", sa.Column("picture_url", sa.Text))
