"""Indexes for every query of the notification history; lists are sorted by an index."""

from typing import Any

from pymongo import DESCENDING, IndexModel
from pymongo.database import Database


def upgrade(database: Database[dict[str, Any]]) -> None:
    newest_first = [("created_at", DESCENDING), ("_id", DESCENDING)]
    database["notifications"].create_indexes(
        [
            IndexModel([*((name, DESCENDING) for name in prefix), *newest_first])
            for prefix in ((), ("user_id",), ("agent_id",), ("status",))
        ]
    )
