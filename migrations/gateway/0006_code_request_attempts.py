"""Add the attempts at code requests, and the time of the next one."""

import sqlalchemy as sa
from alembic import op

from migrations.common import TIMESTAMPTZ

revision = "gateway_0006"
down_revision = "gateway_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("code_requests", sa.Column("attempts", sa.Integer, nullable=False, server_default="0"))
    op.add_column("code_requests", sa.Column("next_at", TIMESTAMPTZ))
