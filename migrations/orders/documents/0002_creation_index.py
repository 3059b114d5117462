"""Index for the orders that were created in a period, with which reconciliation finds orders without rows."""

from typing import Any

from pymongo import ASCENDING, IndexModel
from pymongo.database import Database


def upgrade(database: Database[dict[str, Any]]) -> None:
    database["history"].create_indexes([IndexModel([("version", ASCENDING), ("at", ASCENDING), ("_id", ASCENDING)])])
