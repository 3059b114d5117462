"""Add state, role and avatar of accounts, new addresses of codes, and code requests."""

import sqlalchemy as sa
from alembic import op

revision = "gateway_0002"
down_revision = "gateway_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("accounts", sa.Column("state", sa.Text, nullable=False, server_default="active"))
    op.add_column("accounts", sa.Column("role", sa.Text))
    op.add_column("accounts", sa.Column("avatar", sa.Text))
    op.create_check_constraint("accounts_state", "accounts", "state IN ('creating', 'active', 'deleting')")
    op.create_index("accounts_by_email", "accounts", ["email"])
    op.create_index("accounts_by_time", "accounts", ["created_at", "id"])
    op.create_index("accounts_unfinished", "accounts", ["created_at"], postgresql_where=sa.text("state <> 'active'"))
    op.add_column("codes", sa.Column("new_email", sa.Text))
    op.create_check_constraint("codes_purpose", "codes", "purpose IN ('confirm', 'email', 'password')")
    op.create_table(
        "code_requests",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text),
    )
