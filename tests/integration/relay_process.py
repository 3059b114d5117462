"""A relay of orders in a process of its own, which kills itself at the moment that its argument names.

`take`: the rows are taken out of the table, not yet for good, and nothing is published. `publish`: the broker has
confirmed, and they are still not gone for good. `never`: it runs until it is killed.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable
from typing import Any

from services.runtime import outbox
from services.runtime.amqp import Channel
from services.runtime.broker import Broker
from services.runtime.database import Database


def die() -> None:
    """As a process dies that is killed: with nothing said to anyone."""
    os.kill(os.getpid(), signal.SIGKILL)


class DyingChannel(Channel):
    """Dies before, or once, the broker has confirmed."""

    moment = ""

    def send_all(self, envelopes: Any) -> Awaitable[None]:
        waiting = list(envelopes)
        if waiting and self.moment == "take":
            die()
        return self._confirmed(super().send_all(waiting), dies=bool(waiting) and self.moment == "publish")

    async def _confirmed(self, confirmed: Awaitable[None], *, dies: bool) -> None:
        await confirmed
        if dies:
            die()


async def main(moment: str) -> None:
    """Relays until it dies."""
    DyingChannel.moment = moment
    broker = Broker(os.environ["BROKER_URL"], "relay")
    async with Database(os.environ["DATABASE_URL"]) as database:

        async def relay(channel: Channel) -> None:
            channel.__class__ = DyingChannel
            await outbox.Relay("orders", database, broker)._relay(channel)

        await broker.keep(relay)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
