"""SQLAlchemy tables of notifications."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from services.runtime.messaging.inbox import define_inbox_table
from services.runtime.messaging.outbox import define_outbox_table
from services.runtime.storage.database import TIMESTAMPTZ
from services.runtime.storage.idempotency import build_keys_table

metadata = sa.MetaData()
define_outbox_table(metadata)
define_inbox_table(metadata)
build_keys_table(metadata)

agents = sa.Table(
    "agents",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("priority", sa.SmallInteger, nullable=False),
    sa.Column("providers", ARRAY(sa.Text), nullable=False),
    sa.Column("ttl_s", sa.Integer, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("quiet_start", sa.Text),
    sa.Column("quiet_end", sa.Text),
    sa.Column("collapse", sa.Boolean),
    sa.Column("version", sa.BigInteger, nullable=False, server_default="1"),
    sa.CheckConstraint("priority BETWEEN 1 AND 10", name="agents_priority"),
    sa.CheckConstraint("ttl_s > 0", name="agents_ttl"),
)
agent_keys = sa.Table(
    "agent_keys",
    metadata,
    sa.Column("agent_id", sa.Text, sa.ForeignKey("agents.id", ondelete="CASCADE"), nullable=False),
    sa.Column("provider", sa.Text, nullable=False),
    sa.Column("ciphertext", sa.LargeBinary, nullable=False),
    sa.PrimaryKeyConstraint("agent_id", "provider"),
)
users = sa.Table(
    "users",
    metadata,
    sa.Column("user_id", sa.Text, primary_key=True),
    sa.Column("email", sa.Text, nullable=False),
    sa.Column("notif_token", sa.Text),  # superseded by the table devices; no longer read
    sa.Column("locale", sa.Text),
    sa.Column("time_zone", sa.Text),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("devices_cleared_version", sa.BigInteger, nullable=False, server_default="0"),
)
devices = sa.Table(
    "devices",
    metadata,
    sa.Column("user_id", sa.Text, nullable=False),
    sa.Column("token", sa.Text, nullable=False),
    sa.Column("provider", sa.Text, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("deleted_version", sa.BigInteger, nullable=False, server_default="-1"),
    sa.PrimaryKeyConstraint("user_id", "token"),
)
delivery_jobs = sa.Table(
    "delivery_jobs",
    metadata,
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
    sa.Column("settled", ARRAY(sa.Text), nullable=False),
    sa.Column("accepted", sa.Boolean, nullable=False),
    sa.Column("unclear", sa.Boolean, nullable=False),
    sa.Column("trace", JSONB, nullable=False),
)
sa.Index("delivery_jobs_due", delivery_jobs.c.priority.desc(), delivery_jobs.c.due_at)
sa.Index("delivery_jobs_user", delivery_jobs.c.user_id)
