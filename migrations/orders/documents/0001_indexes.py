"""Indexes for every query of order history and payments; lists are sorted by an index."""

from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.database import Database


def upgrade(database: Database[dict[str, Any]]) -> None:
    database["history"].create_indexes([IndexModel([("order_id", ASCENDING), ("version", ASCENDING)])])
    newest_first = [("at", DESCENDING), ("_id", DESCENDING)]
    database["payments"].create_indexes(
        [IndexModel([*prefix, *newest_first]) for prefix in ([], [("order_id", ASCENDING)], [("bank_id", ASCENDING)])]
    )
