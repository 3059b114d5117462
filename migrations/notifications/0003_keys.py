"""Keys that make creating agents safe; an inbox that is cleared."""

from migrations.common import create_idempotency_keys, create_inbox_time_index

revision = "notifications_0003"
down_revision = "notifications_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_idempotency_keys()
    create_inbox_time_index()
