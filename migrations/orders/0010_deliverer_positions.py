"""Add the latest positions of deliverers, for the customers who watch their orders."""

import sqlalchemy as sa
from alembic import op

from migrations.common import TIMESTAMPTZ

revision = "orders_0010"
down_revision = "orders_0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "deliverer_positions",
        sa.Column("order_id", sa.Text, sa.ForeignKey("orders.id"), primary_key=True),
        sa.Column("latitude", sa.Double, nullable=False),
        sa.Column("longitude", sa.Double, nullable=False),
        sa.Column("at", TIMESTAMPTZ, nullable=False),
        prefixes=["UNLOGGED"],
    )
    op.execute(
        "CREATE TRIGGER deliverer_position_saved AFTER INSERT OR UPDATE ON deliverer_positions "
        "FOR EACH ROW EXECUTE FUNCTION notify_order_change()"
    )
