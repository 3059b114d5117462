"""Create the tables of loans and events."""

import sqlalchemy as sa
from alembic import op

from migrations.common import TIMESTAMPTZ, create_outbox

revision = "loans_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "loans",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("reader_id", sa.Text, nullable=False),
        sa.Column("title_id", sa.Text, nullable=False),
        sa.Column("started_at", TIMESTAMPTZ, nullable=False),
    )
    create_outbox()
