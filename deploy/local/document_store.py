"""`python -m deploy.local.document_store HOST PORT FILE`: MongoDB's protocol on a SQLite file, until SIGTERM."""

import asyncio
import signal
import sys

from mongoeco.engines.sqlite import SQLiteEngine
from mongoeco.wire.proxy import AsyncMongoEcoProxyServer


async def main(host: str, port: int, file: str) -> None:
    """Serves until it is told to stop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = AsyncMongoEcoProxyServer(engine=SQLiteEngine(file), host=host, port=port)
    await server.start()
    await stop.wait()
    await server.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
