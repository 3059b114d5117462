"""Add a trigram index for substring search in product titles."""

import sqlalchemy as sa
from alembic import op

revision = "partners_0005"
down_revision = "partners_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    op.create_index(
        "products_by_title_trigrams",
        "products",
        [sa.text("lower(title) gin_trgm_ops")],
        postgresql_using="gin",
    )
