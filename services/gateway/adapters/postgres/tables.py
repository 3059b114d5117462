"""Tables of the gateway."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from services.gateway.domain.accounts import AccountState, CodePurpose
from services.runtime.messaging.outbox import define_outbox_table
from services.runtime.storage.database import TIMESTAMPTZ

metadata = sa.MetaData()
define_outbox_table(metadata)

accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("email", sa.Text, nullable=False),
    sa.Column("email_verified", sa.Boolean, nullable=False),
    sa.Column("first_name", sa.Text, nullable=False),
    sa.Column("last_name", sa.Text, nullable=False),
    sa.Column("phone", sa.Text),
    sa.Column("birth_date", sa.Date),
    sa.Column("locale", sa.Text),
    sa.Column("time_zone", sa.Text),
    sa.Column("notif_token", sa.Text),
    sa.Column("role", sa.Text),
    sa.Column("avatar", sa.Text),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("created_at", TIMESTAMPTZ, nullable=False),
    sa.CheckConstraint(f"state IN {tuple(map(str, AccountState))}", name="accounts_state"),
)
sa.Index("accounts_by_email", accounts.c.email)
sa.Index("accounts_by_time", accounts.c.created_at, accounts.c.id)
sa.Index("accounts_unfinished", accounts.c.created_at, postgresql_where=accounts.c.state != AccountState.ACTIVE)
codes = sa.Table(
    "codes",
    metadata,
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("user_id", sa.Text, sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("new_email", sa.Text),
    sa.Column("expires_at", TIMESTAMPTZ, nullable=False),
    sa.CheckConstraint(f"purpose IN {tuple(map(str, CodePurpose))}", name="codes_purpose"),
    sa.Index("codes_by_user", "user_id"),
)
code_requests = sa.Table(
    "code_requests",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("email", sa.Text, nullable=False),
    sa.Column("user_id", sa.Text),
    sa.Column("trace", JSONB),
)
