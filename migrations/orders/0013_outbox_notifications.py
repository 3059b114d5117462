"""Notify the channel `outbox` only of the events of an earlier release, whose relays listen."""

from migrations.common import limit_outbox_notifications

revision = "orders_0013"
down_revision = "orders_0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    limit_outbox_notifications()
