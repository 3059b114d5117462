"""Tables that the migrations of several services create."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

TIMESTAMPTZ = sa.DateTime(timezone=True)


def create_outbox() -> None:
    """Create the table of unpublished events and the trigger that notifies the relays of inserts."""
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("trace", JSONB, nullable=False),
        sa.Column("at", TIMESTAMPTZ, nullable=False),
    )
    op.execute(
        "CREATE FUNCTION notify_outbox() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_notify('outbox', ''); RETURN NULL; END $$"
    )
    op.execute("CREATE TRIGGER outbox_added AFTER INSERT ON outbox FOR EACH STATEMENT EXECUTE FUNCTION notify_outbox()")


def limit_outbox_notifications() -> None:
    """Let the trigger notify only of insertions by sessions of an earlier release, whose relays listen.

    The next release can drop the trigger.
    """
    op.execute(
        "CREATE OR REPLACE TRIGGER outbox_added AFTER INSERT ON outbox FOR EACH STATEMENT "
        "WHEN (current_setting('outbox.notify', true) IS DISTINCT FROM 'off') EXECUTE FUNCTION notify_outbox()"
    )


def create_inbox() -> None:
    """Create the table of processed events, for deduplication."""
    op.create_table(
        "inbox",
        sa.Column("queue", sa.Text, nullable=False),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("at", TIMESTAMPTZ, nullable=False),
        sa.PrimaryKeyConstraint("queue", "event_id"),
    )


def create_idempotency_keys() -> None:
    """Create the table of idempotency keys with their first responses."""
    op.create_table(
        "idempotency_keys",
        sa.Column("actor", sa.Text, primary_key=True),
        sa.Column("operation", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("error_reason", sa.Text),
        sa.Column("response", sa.LargeBinary, nullable=False),
        sa.Column("at", TIMESTAMPTZ, nullable=False),
    )
    op.create_index("idempotency_keys_by_time", "idempotency_keys", ["at"])


def create_inbox_time_index() -> None:
    """Create the index for the deletion of old inbox entries."""
    op.create_index("inbox_by_time", "inbox", ["at"])
