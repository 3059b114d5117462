"""Idempotency keys for the creation of agents, and a time index for deleting old inbox entries."""

from migrations.common import create_idempotency_keys, create_inbox_time_index

revision = "notifications_0003"
down_revision = "notifications_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_idempotency_keys()
    create_inbox_time_index()
