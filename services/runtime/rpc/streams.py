"""Open server streams, ended on shutdown."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from generated.problems import Reason
from services.runtime.core.errors import ApiError
from services.runtime.rpc import error_status


class ServerStreams:
    """Registry of the open streams of a server.

    A shutdown closes them, as streams without an end would use up the whole grace period.
    """

    def __init__(self) -> None:
        self._open_timeouts: set[asyncio.Timeout] = set()

    @asynccontextmanager
    async def track(self) -> AsyncIterator[None]:
        """Register one stream while the block runs.

        Raises ApiError: UPSTREAM_UNAVAILABLE when `close_all` ends the stream.
        """
        try:
            async with asyncio.timeout(None) as timeout:
                self._open_timeouts.add(timeout)
                try:
                    yield
                finally:
                    self._open_timeouts.discard(timeout)
        except TimeoutError:
            if timeout.expired():
                raise ApiError(
                    Reason.UPSTREAM_UNAVAILABLE, retry_after=error_status.UNAVAILABLE_RETRY_AFTER_S
                ) from None
            raise

    def close_all(self) -> None:
        """End all open streams; they end in the event loop's next iterations."""
        for timeout in self._open_timeouts:
            timeout.reschedule(asyncio.get_running_loop().time())
