"""Add the user who registered each device token last."""

import sqlalchemy as sa
from alembic import op

from migrations.common import TIMESTAMPTZ

revision = "notifications_0004"
down_revision = "notifications_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "device_owners",
        sa.Column("token_hash", sa.LargeBinary, primary_key=True),
        sa.Column("user_id", sa.Text),
        sa.Column("registered_at", TIMESTAMPTZ, nullable=False),
    )
    op.create_index("device_owners_by_user", "device_owners", ["user_id"])
    op.execute(
        "INSERT INTO device_owners "
        "SELECT DISTINCT ON (token) sha256(convert_to(token, 'UTF8')), user_id, to_timestamp(0) "
        "FROM devices WHERE version > deleted_version ORDER BY token, version DESC"
    )
