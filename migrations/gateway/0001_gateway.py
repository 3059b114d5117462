"""Create accounts, codes and the outbox."""

import sqlalchemy as sa
from alembic import op

from migrations.common import TIMESTAMPTZ, create_outbox

revision = "gateway_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("email_verified", sa.Boolean, nullable=False),
        sa.Column("first_name", sa.Text, nullable=False),
        sa.Column("last_name", sa.Text, nullable=False),
        sa.Column("phone", sa.Text),
        sa.Column("birth_date", sa.Date),
        sa.Column("locale", sa.Text),
        sa.Column("time_zone", sa.Text),
        sa.Column("notif_token", sa.Text),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("created_at", TIMESTAMPTZ, nullable=False),
    )
    op.create_table(
        "codes",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("expires_at", TIMESTAMPTZ, nullable=False),
    )
    op.create_index("codes_by_user", "codes", ["user_id"])
    create_outbox()
