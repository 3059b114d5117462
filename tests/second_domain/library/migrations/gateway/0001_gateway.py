"""Create the table of events."""

from migrations.common import create_outbox

revision = "gateway_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_outbox()
