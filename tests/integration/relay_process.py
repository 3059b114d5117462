"""A relay of orders in a process of its own, which kills itself at the moment that its argument names.

`commit`: the rows are committed and taken, nothing is published. `publish`: the broker has confirmed, no row is
marked. `mark`: the rows are deleted, but not for good. `never`: it runs until it is killed.
"""

import asyncio
import os
import signal
import sys
from typing import Any

from services.runtime import outbox
from services.runtime.broker import Broker, Channel
from services.runtime.database import Database, Statement, Transaction


def die() -> None:
    """As a process dies that is killed: with nothing said to anyone."""
    os.kill(os.getpid(), signal.SIGKILL)


class DyingChannel(Channel):
    """Dies before, or once, the broker has confirmed."""

    moment = ""

    async def publish_all(self, envelopes: Any) -> None:
        waiting = list(envelopes)
        if waiting and self.moment == "commit":
            die()
        await super().publish_all(waiting)
        if waiting and self.moment == "publish":
            die()


class DyingDatabase(Database):
    """Dies when rows are deleted, before that is committed."""

    moment = ""

    def transaction(self) -> Any:
        made = super().transaction()
        run = Transaction.run

        async def dying(transaction: Transaction, statement: Statement[Any], **values: Any) -> int:
            done = await run(transaction, statement, **values)
            if self.moment == "mark" and statement is outbox._DELETE:
                die()
            return done

        Transaction.run = dying  # type: ignore[method-assign]
        return made


async def main(moment: str) -> None:
    """Relays until it dies."""
    DyingChannel.moment = DyingDatabase.moment = moment
    broker = Broker(os.environ["BROKER_URL"], "relay")
    async with DyingDatabase(os.environ["DATABASE_URL"]) as database:

        async def relay(channel: Channel) -> None:
            channel.__class__ = DyingChannel
            await outbox.Relay("orders", database, broker)._relay(channel)

        await broker.keep(relay)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
