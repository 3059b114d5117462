"""Preferences and keys of agents, several devices per user, and the queue of delivery jobs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from migrations.common import TIMESTAMPTZ

revision = "notifications_0002"
down_revision = "notifications_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("agents", sa.Column("quiet_start", sa.Text))
    op.add_column("agents", sa.Column("quiet_end", sa.Text))
    op.add_column("agents", sa.Column("collapse", sa.Boolean))
    op.add_column("agents", sa.Column("version", sa.BigInteger, nullable=False, server_default="1"))
    op.create_table(
        "agent_keys",
        sa.Column("agent_id", sa.Text, sa.ForeignKey("agents.id", ondelete="CASCADE"), nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("ciphertext", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("agent_id", "provider"),
    )
    # Agents that were changed since the first migration are left unchanged.
    op.execute(
        "UPDATE agents SET providers = '{fcm,apns,email}' WHERE id IN ('orders', 'alerts') AND providers = '{fcm}'"
    )
    op.execute(
        "INSERT INTO agents (id, name, priority, providers, ttl_s, enabled) VALUES "
        "('mails', 'Mails of accounts', 9, '{email}', 86400, true), "
        "('news', 'Announcements', 1, '{fcm,apns}', 86400, true) ON CONFLICT DO NOTHING"
    )
    op.add_column("users", sa.Column("devices_cleared_version", sa.BigInteger, nullable=False, server_default="0"))
    op.create_table(
        "devices",
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("deleted_version", sa.BigInteger, nullable=False, server_default="-1"),
        sa.PrimaryKeyConstraint("user_id", "token"),
    )
    op.execute(
        "INSERT INTO devices (user_id, token, provider, version) SELECT user_id, notif_token, "
        "CASE WHEN notif_token ~ '^([0-9a-fA-F]{2}){32,100}$' THEN 'apns' ELSE 'fcm' END, version "
        "FROM users WHERE notif_token IS NOT NULL"
    )
    op.create_table(
        "delivery_jobs",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("priority", sa.SmallInteger, nullable=False),
        sa.Column("due_at", TIMESTAMPTZ, nullable=False),
        sa.Column("expires_at", TIMESTAMPTZ, nullable=False),
        sa.Column("notification", JSONB, nullable=False),
        sa.Column("mail", sa.LargeBinary),
        sa.Column("provider", sa.Text),
        sa.Column("since", TIMESTAMPTZ),
        sa.Column("rounds", sa.Integer, nullable=False),
        sa.Column("final_addresses", ARRAY(sa.Text), nullable=False),
        sa.Column("accepted", sa.Boolean, nullable=False),
        sa.Column("unclear", sa.Boolean, nullable=False),
        sa.Column("trace", JSONB, nullable=False),
    )
    op.create_index("delivery_jobs_due", "delivery_jobs", [sa.text("priority DESC"), "due_at"])
    op.create_index("delivery_jobs_user", "delivery_jobs", ["user_id"])
