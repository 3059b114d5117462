"""Notification agents and contact data of users."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

from migrations.common import create_inbox, create_outbox

revision = "notifications_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "agents",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("priority", sa.SmallInteger, nullable=False),
        sa.Column("providers", ARRAY(sa.Text), nullable=False),
        sa.Column("ttl_s", sa.Integer, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.CheckConstraint("priority BETWEEN 1 AND 10", name="agents_priority"),
        sa.CheckConstraint("ttl_s > 0", name="agents_ttl"),
    )
    op.create_table(
        "users",
        sa.Column("user_id", sa.Text, primary_key=True),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("notif_token", sa.Text),
        sa.Column("locale", sa.Text),
        sa.Column("time_zone", sa.Text),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.execute(
        "INSERT INTO agents (id, name, priority, providers, ttl_s, enabled) VALUES "
        "('orders', 'Order updates', 5, '{fcm}', 86400, true), "
        "('alerts', 'System alerts', 10, '{fcm}', 3600, true)"
    )
    create_outbox()
    create_inbox()
