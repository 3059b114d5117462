"""Notify the channel `outbox` only of the events of an earlier release, whose relays listen."""

from migrations.common import limit_outbox_notifications

revision = "gateway_0008"
down_revision = "gateway_0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    limit_outbox_notifications()
