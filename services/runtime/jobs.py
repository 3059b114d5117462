"""What services do beside requests: work that is done now and then, by any number of processes at once."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from services.runtime.refusal import Refusal

log = logging.getLogger(__name__)


async def every(seconds: float, name: str, work: Callable[[], Awaitable[int]]) -> None:
    """Does the work until it finds nothing more, and again after about `seconds`, until cancelled."""
    while True:
        try:
            while await work():
                pass
        except Refusal as refusal:
            log.warning("%s waits: %s", name, refusal)
        await asyncio.sleep(seconds * random.SystemRandom().uniform(0.8, 1.2))
