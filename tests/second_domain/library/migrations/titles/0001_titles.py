"""Create the tables of titles and events, with the titles of the library."""

import sqlalchemy as sa
from alembic import op

from migrations.common import create_inbox, create_inbox_time_index, create_outbox

revision = "titles_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    titles = op.create_table(
        "titles",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("loans", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(
        titles,
        [
            {"id": "emma", "name": "Emma", "loans": 0},
            {"id": "effi-briest", "name": "Effi Briest", "loans": 0},
        ],
    )
    create_outbox()
    create_inbox()
    create_inbox_time_index()
