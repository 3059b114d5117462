"""Create the table of processed ready callbacks."""

import sqlalchemy as sa
from alembic import op

from migrations.common import TIMESTAMPTZ

revision = "partners_0012"
down_revision = "partners_0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ready_callbacks",
        sa.Column("partner_id", sa.BigInteger, primary_key=True),
        sa.Column("webhook_id", sa.Text, primary_key=True),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("at", TIMESTAMPTZ, nullable=False, server_default=sa.func.now()),
    )
    op.create_index("ready_callbacks_by_time", "ready_callbacks", ["at"])
