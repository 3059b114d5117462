"""What the gateway does beside requests: mails codes, finishes what was cut off, removes pictures that nobody has."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from services.runtime.core.errors import ApiError

log = logging.getLogger(__name__)


class PeriodicJob:
    """Does one thing until it finds nothing more, when it is woken, and now and then for what others left behind."""

    def __init__(self, name: str, work: Callable[[], Awaitable[int]], interval_s: float) -> None:
        self._name = name
        self._work = work
        self._interval_s = interval_s
        self._notified = asyncio.Event()

    def notify(self) -> None:
        """There is something to do."""
        self._notified.set()

    async def run(self) -> None:
        """Until cancelled, through outages of what it needs."""
        while True:
            self._notified.clear()
            try:
                while await self._work():
                    pass
            except ApiError as refusal:
                log.warning("%s waits: %s", self._name, refusal)
            try:
                async with asyncio.timeout(self._interval_s):
                    await self._notified.wait()
            except TimeoutError:
                continue
