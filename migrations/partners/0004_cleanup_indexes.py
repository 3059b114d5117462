"""Add indexes for the deletion of old inbox rows, calls and cancelled orders."""

import sqlalchemy as sa
from alembic import op

from migrations.common import create_inbox_time_index

revision = "partners_0004"
down_revision = "partners_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_inbox_time_index()
    op.create_index("cancelled_orders_by_time", "cancelled_orders", ["at"])
    op.create_index(
        "partner_calls_finished", "partner_calls", ["created_at"], postgresql_where=sa.text("state <> 'waiting'")
    )
