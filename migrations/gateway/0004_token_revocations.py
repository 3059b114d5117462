"""Add token revocations and the trigger that notifies the processes of the gateway."""

import sqlalchemy as sa
from alembic import op

revision = "gateway_0004"
down_revision = "gateway_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "token_revocations",
        sa.Column("user_id", sa.Text, primary_key=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("token_revocations_by_time", "token_revocations", ["revoked_at"])
    op.execute(
        "CREATE FUNCTION notify_token_revocation() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_notify('token_revocations', row_to_json(NEW)::text); RETURN NULL; END $$"
    )
    op.execute(
        "CREATE TRIGGER token_revoked AFTER INSERT OR UPDATE ON token_revocations "
        "FOR EACH ROW EXECUTE FUNCTION notify_token_revocation()"
    )
