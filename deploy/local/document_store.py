"""`python -m deploy.local.document_store HOST PORT FILE`: MongoDB's protocol on a SQLite file, until SIGTERM."""

import asyncio
import signal
import sys
from collections.abc import Callable
from typing import Any

from mongoeco.engines.sqlite import SQLiteEngine
from mongoeco.wire.proxy import AsyncMongoEcoProxyServer


class Engine(SQLiteEngine):
    """Leaves out what costs a write most of its time, and what nobody here needs."""

    def _validate_document_against_unique_indexes(
        self, db_name: str, coll_name: str, document: dict[str, Any], **how: Any
    ) -> None:
        """Reads the whole collection only where ids may be equal that are not stored alike; strings are."""
        if isinstance(document.get("_id"), str):
            how["scan_payload_id"] = False
        super()._validate_document_against_unique_indexes(db_name, coll_name, document, **how)

    def register_change_consumer(self, consumer_id: str, **how: Any) -> int:
        """Nobody watches changes."""
        return 0

    def unregister_change_consumer(self, consumer_id: str, *, retire_durable: bool = False) -> None:
        """Nobody did."""

    def dispatch_committed_changes(self, consumer_id: str, consumer: Callable[[Any], None]) -> None:
        """Nobody is told of them, which would start a thread for every write."""


async def main(host: str, port: int, file: str) -> None:
    """Serves until it is told to stop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = AsyncMongoEcoProxyServer(engine=Engine(file), host=host, port=port)
    await server.start()
    await stop.wait()
    await server.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
