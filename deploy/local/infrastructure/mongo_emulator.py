"""`python -m deploy.local.infrastructure.mongo_emulator HOST PORT FILE`: MongoDB's protocol on a SQLite file, until SIGTERM."""

import asyncio
import signal
import sys
from collections.abc import Callable
from typing import Any

from mongoeco.core.query_plan import AndCondition, EqualsCondition, QueryNode
from mongoeco.engines.sqlite import SQLiteEngine
from mongoeco.wire.proxy import AsyncMongoEcoProxyServer


class TunedSQLiteEngine(SQLiteEngine):
    """Leaves out what costs a write most of its time, and what nobody here needs."""

    def _validate_document_against_unique_indexes(
        self, db_name: str, coll_name: str, document: dict[str, Any], **how: Any
    ) -> None:
        """Reads the whole collection only where ids may be equal that are not stored alike; strings are."""
        if isinstance(document.get("_id"), str):
            how["scan_payload_id"] = False
        super()._validate_document_against_unique_indexes(db_name, coll_name, document, **how)

    def _select_first_document_for_plan(
        self, db_name: str, coll_name: str, plan: QueryNode, **how: Any
    ) -> tuple[str, dict[str, Any]] | None:
        """Looks through the collection only for what no id names, or may be there: an upsert mostly finds nothing."""
        named = extract_document_id(plan)
        if named is not None and not self._has_document(db_name, coll_name, named, how.get("context")):
            return None
        found: tuple[str, dict[str, Any]] | None = super()._select_first_document_for_plan(
            db_name, coll_name, plan, **how
        )
        return found

    def _has_document(self, db_name: str, coll_name: str, document_id: str, context: Any) -> bool:
        key = (db_name, coll_name, self._storage_key(document_id))
        where = "db_name = ? AND coll_name = ? AND storage_key = ?"
        connection = self._require_connection(context)
        return bool(connection.execute(f"SELECT 1 FROM documents WHERE {where}", key).fetchone())  # noqa: S608

    def register_change_consumer(self, consumer_id: str, **how: Any) -> int:
        """Nobody watches changes."""
        return 0

    def unregister_change_consumer(self, consumer_id: str, *, retire_durable: bool = False) -> None:
        """Nobody did."""

    def dispatch_committed_changes(self, consumer_id: str, consumer: Callable[[Any], None]) -> None:
        """Nobody is told of them, which would start a thread for every write."""


def extract_document_id(plan: QueryNode) -> str | None:
    """The id that a document must have to be found, where it is text, as all of ours are."""
    clauses = plan.clauses if isinstance(plan, AndCondition) else (plan,)
    named = (each.value for each in clauses if isinstance(each, EqualsCondition) and each.field == "_id")
    return next((value for value in named if isinstance(value, str)), None)


async def main(host: str, port: int, file: str) -> None:
    """Serves until it is told to stop."""
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
