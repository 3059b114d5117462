"""SQLAlchemy tables of notifications."""

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, MetaData, PrimaryKeyConstraint, Table
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.types import BigInteger, Boolean, Integer, LargeBinary, SmallInteger, Text

from services.runtime.messaging.inbox import define_inbox_table
from services.runtime.messaging.outbox import define_outbox_table
from services.runtime.storage.idempotency import build_keys_table
from services.runtime.storage.statements.statement import TIMESTAMPTZ

metadata = MetaData()
define_outbox_table(metadata)
define_inbox_table(metadata)
build_keys_table(metadata)

agents = Table(
    "agents",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("priority", SmallInteger, nullable=False),
    Column("providers", ARRAY(Text), nullable=False),
    Column("ttl_s", Integer, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("quiet_start", Text),
    Column("quiet_end", Text),
    Column("collapse", Boolean),
    Column("version", BigInteger, nullable=False, server_default="1"),
    CheckConstraint("priority BETWEEN 1 AND 10", name="agents_priority"),
    CheckConstraint("ttl_s > 0", name="agents_ttl"),
)
agent_keys = Table(
    "agent_keys",
    metadata,
    Column("agent_id", Text, ForeignKey("agents.id", ondelete="CASCADE"), nullable=False),
    Column("provider", Text, nullable=False),
    Column("ciphertext", LargeBinary, nullable=False),
    PrimaryKeyConstraint("agent_id", "provider"),
)
users = Table(
    "users",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("email", Text, nullable=False),
    Column("notif_token", Text),  # superseded by the table devices; no longer read
    Column("locale", Text),
    Column("time_zone", Text),
    Column("version", BigInteger, nullable=False),
    Column("devices_cleared_version", BigInteger, nullable=False, server_default="0"),
)
devices = Table(
    "devices",
    metadata,
    Column("user_id", Text, nullable=False),
    Column("token", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("deleted_version", BigInteger, nullable=False, server_default="-1"),
    PrimaryKeyConstraint("user_id", "token"),
)
device_owners = Table(
    "device_owners",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),  # SHA-256; the row outlives the user's personal data
    Column("user_id", Text),  # NULL once the user is deleted
    Column("registered_at", TIMESTAMPTZ, nullable=False),
    Index("device_owners_by_user", "user_id"),
)
registered_devices = Table(
    "registered_devices",
    metadata,
    Column("id", Text, primary_key=True),  # derives from the token, which therefore belongs to one user
    Column("user_id", Text, nullable=False),
    Column("token", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("name", Text),
    Column("registered_at", TIMESTAMPTZ, nullable=False),
    Index("registered_devices_by_user", "user_id", "registered_at"),
)
delivery_jobs = Table(
    "delivery_jobs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("priority", SmallInteger, nullable=False),
    Column("due_at", TIMESTAMPTZ, nullable=False),
    Column("expires_at", TIMESTAMPTZ, nullable=False),
    Column("notification", JSONB, nullable=False),
    Column("mail", LargeBinary),
    Column("provider", Text),
    Column("since", TIMESTAMPTZ),
    Column("rounds", Integer, nullable=False),
    Column("final_addresses", ARRAY(Text), nullable=False),
    Column("accepted", Boolean, nullable=False),
    Column("unclear", Boolean, nullable=False),
    Column("trace", JSONB, nullable=False),
)
Index("delivery_jobs_due", delivery_jobs.c.priority.desc(), delivery_jobs.c.due_at)
Index("delivery_jobs_user", delivery_jobs.c.user_id)
