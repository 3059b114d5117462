"""Add the opening hours of a partner."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "partners_0008"
down_revision = "partners_0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("partners", sa.Column("opening_hours", JSONB))
