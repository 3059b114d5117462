"""Add the devices that users register, in addition to the one in the profile."""

import sqlalchemy as sa
from alembic import op

from migrations.common import TIMESTAMPTZ

revision = "notifications_0005"
down_revision = "notifications_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "registered_devices",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("name", sa.Text),
        sa.Column("registered_at", TIMESTAMPTZ, nullable=False),
    )
    op.create_index("registered_devices_by_user", "registered_devices", ["user_id", "registered_at"])
