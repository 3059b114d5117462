"""Start generated ids of partners and products above the fixed ids of the demo data."""

from alembic import op

revision = "partners_0003"
down_revision = "partners_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "SELECT setval(pg_get_serial_sequence('partners', 'id'), GREATEST(1000, (SELECT max(id) FROM partners)))"
    )
    op.execute(
        "SELECT setval(pg_get_serial_sequence('products', 'id'), GREATEST(1000, (SELECT max(id) FROM products)))"
    )
