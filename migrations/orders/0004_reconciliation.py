"""Add indexes for the queries of reconciliation and cleanup."""

import sqlalchemy as sa
from alembic import op

from migrations.common import TIMESTAMPTZ, create_inbox_time_index

revision = "orders_0004"
down_revision = "orders_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_inbox_time_index()
    op.add_column("callbacks", sa.Column("at", TIMESTAMPTZ, nullable=False, server_default=sa.func.now()))
    op.create_index("callbacks_by_time", "callbacks", ["at"])
    for table, changed_at in (("orders", "updated_at"), ("payments", "at")):
        unreconciled = sa.text("reconciled_at IS NULL")
        op.create_index(f"{table}_unreconciled", table, [changed_at], postgresql_where=unreconciled)
        op.create_index(f"{table}_reconciled", table, ["reconciled_at"])
