"""Index for the notifications about an order."""

from typing import Any

from pymongo import DESCENDING, IndexModel
from pymongo.database import Database


def upgrade(database: Database[dict[str, Any]]) -> None:
    keys = [(name, DESCENDING) for name in ("order_id", "created_at", "_id")]
    database["notifications"].create_indexes([IndexModel(keys)])
