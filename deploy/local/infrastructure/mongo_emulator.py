"""`python -m deploy.local.infrastructure.mongo_emulator HOST PORT FILE`: serve MongoDB's wire protocol from SQLite."""

import asyncio
import signal
import sys
from collections.abc import Callable
from typing import Any

from mongoeco.core.query_plan import AndCondition, EqualsCondition, QueryNode
from mongoeco.engines.sqlite import SQLiteEngine
from mongoeco.wire.proxy import AsyncMongoEcoProxyServer


class TunedSQLiteEngine(SQLiteEngine):
    """SQLite engine without change streams and without full collection scans on writes."""

    def _validate_document_against_unique_indexes(
        self, db_name: str, coll_name: str, document: dict[str, Any], **options: Any
    ) -> None:
        """Skip the collection scan for string ids, whose equal values have equal storage keys."""
        if isinstance(document.get("_id"), str):
            options["scan_payload_id"] = False
        super()._validate_document_against_unique_indexes(db_name, coll_name, document, **options)

    def _select_first_document_for_plan(
        self, db_name: str, coll_name: str, plan: QueryNode, **options: Any
    ) -> tuple[str, dict[str, Any]] | None:
        """Skip the collection scan if the plan names an id that does not exist, as most upserts do."""
        document_id = extract_document_id(plan)
        if document_id is not None and not self._has_document(db_name, coll_name, document_id, options.get("context")):
            return None
        document: tuple[str, dict[str, Any]] | None = super()._select_first_document_for_plan(
            db_name, coll_name, plan, **options
        )
        return document

    def _has_document(self, db_name: str, coll_name: str, document_id: str, context: Any) -> bool:
        key = (db_name, coll_name, self._storage_key(document_id))
        where = "db_name = ? AND coll_name = ? AND storage_key = ?"
        connection = self._require_connection(context)
        return bool(connection.execute(f"SELECT 1 FROM documents WHERE {where}", key).fetchone())  # noqa: S608

    def register_change_consumer(self, consumer_id: str, **options: Any) -> int:
        """Do nothing: change streams are not supported."""
        return 0

    def unregister_change_consumer(self, consumer_id: str, *, retire_durable: bool = False) -> None:
        """Do nothing: change streams are not supported."""

    def dispatch_committed_changes(self, consumer_id: str, consumer: Callable[[Any], None]) -> None:
        """Do nothing; the base class would start a thread for every write."""


def extract_document_id(plan: QueryNode) -> str | None:
    """Return the string id that a query plan requires, or None."""
    clauses = plan.clauses if isinstance(plan, AndCondition) else (plan,)
    ids = (each.value for each in clauses if isinstance(each, EqualsCondition) and each.field == "_id")
    return next((value for value in ids if isinstance(value, str)), None)


async def main(host: str, port: int, file: str) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = AsyncMongoEcoProxyServer(engine=TunedSQLiteEngine(file), host=host, port=port)
    await server.start()
    await stop.wait()
    await server.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
