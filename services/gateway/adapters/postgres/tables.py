"""Tables of the gateway."""

from sqlalchemy import CheckConstraint, Column, ForeignKey, Identity, Index, MetaData, Table
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import BigInteger, Boolean, Date, Integer, LargeBinary, Text

from services.gateway.domain.accounts import AccountState, CodePurpose
from services.runtime.messaging.outbox import define_outbox_table
from services.runtime.storage.statements.statement import TIMESTAMPTZ

metadata = MetaData()
define_outbox_table(metadata)

accounts = Table(
    "accounts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("email_verified", Boolean, nullable=False),
    Column("first_name", Text, nullable=False),
    Column("last_name", Text, nullable=False),
    Column("phone", Text),
    Column("birth_date", Date),
    Column("locale", Text),
    Column("time_zone", Text),
    Column("notif_token", Text),
    Column("role", Text),
    Column("avatar", Text),
    Column("version", BigInteger, nullable=False),
    Column("created_at", TIMESTAMPTZ, nullable=False),
    Column("notif_token_at", TIMESTAMPTZ),
    Column("disabled", Boolean, nullable=False, server_default="false"),
    CheckConstraint(f"state IN {tuple(map(str, AccountState))}", name="accounts_state"),
)
Index("accounts_by_email", accounts.c.email)
Index("accounts_by_time", accounts.c.created_at, accounts.c.id)
Index("accounts_unfinished", accounts.c.created_at, postgresql_where=accounts.c.state != AccountState.ACTIVE)
codes = Table(
    "codes",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("purpose", Text, nullable=False),
    Column("user_id", Text, ForeignKey("accounts.id"), nullable=False),
    Column("new_email", Text),
    Column("expires_at", TIMESTAMPTZ, nullable=False),
    CheckConstraint(f"purpose IN {tuple(map(str, CodePurpose))}", name="codes_purpose"),
    Index("codes_by_user", "user_id"),
)
code_requests = Table(
    "code_requests",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("purpose", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("user_id", Text),
    Column("trace", JSONB),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_at", TIMESTAMPTZ),
)
token_revocations = Table(
    "token_revocations",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("revoked_at", TIMESTAMPTZ, nullable=False),
    Index("token_revocations_by_time", "revoked_at"),
)
