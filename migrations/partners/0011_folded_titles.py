"""Add a trigram index of product titles without regard to case and Unicode form.

The previous release searches with `products_by_title_trigrams`, which therefore remains.
"""

import sqlalchemy as sa
from alembic import op

revision = "partners_0011"
down_revision = "partners_0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "products_by_folded_title",
        "products",
        [sa.text("translate(lower(normalize(title)), 'ς'::text, 'σ'::text) gin_trgm_ops")],
        postgresql_using="gin",
    )
