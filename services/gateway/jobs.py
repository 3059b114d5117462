"""What the gateway does beside requests: mails codes, finishes what was cut off, removes pictures that nobody has."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from services.runtime.refusal import Refusal

log = logging.getLogger(__name__)


class Job:
    """Does one thing until it finds nothing more, when it is woken, and now and then for what others left behind."""

    def __init__(self, name: str, work: Callable[[], Awaitable[int]], every_s: float) -> None:
        self._name = name
        self._work = work
        self._every_s = every_s
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """There is something to do."""
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled, through outages of what it needs."""
        while True:
            self._wake.clear()
            try:
                while await self._work():
                    pass
            except Refusal as refusal:
                log.warning("%s waits: %s", self._name, refusal)
            try:
                async with asyncio.timeout(self._every_s):
                    await self._wake.wait()
            except TimeoutError:
                continue
