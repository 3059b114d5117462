"""Add the category of a product, and indexes of the orders in which the catalog is listed."""

import sqlalchemy as sa
from alembic import op

revision = "partners_0009"
down_revision = "partners_0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("products", sa.Column("category", sa.Text))
    op.create_index("products_by_category", "products", ["category"], postgresql_where=sa.text("category IS NOT NULL"))
    op.create_index("partners_by_title", "partners", [sa.text('"left"(lower(title), 64)'), "id"])
    op.create_index("availability_by_price", "availability", ["partner_id", "price", "product_id"])
