"""What services do beside requests: work that is done now and then, by any number of processes at once."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from services.runtime.core.errors import ApiError

log = logging.getLogger(__name__)


async def run_periodically(interval_s: float, name: str, work: Callable[[], Awaitable[int]]) -> None:
    """Does the work until it finds nothing more, and again after about `seconds`, until cancelled."""
    while True:
        try:
            while await work():
                pass
        except ApiError as refusal:
            log.warning("%s waits: %s", name, refusal)
        await asyncio.sleep(interval_s * random.SystemRandom().uniform(0.8, 1.2))
