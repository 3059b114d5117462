"""PostgreSQL LISTEN connection, which reconnects with exponential backoff and jitter."""

import asyncio
import logging
from collections.abc import Callable
from typing import override

import psycopg
from psycopg import sql
from psycopg.abc import RV, PQGen

from services.runtime.core import backoff
from services.runtime.storage.postgres_conninfo import build_conninfo

log = logging.getLogger(__name__)

INITIAL_RECONNECT_DELAY_S = 0.5
MAX_RECONNECT_DELAY_S = 10.0
CONNECT_TIMEOUT_S = 10.0
"""Timeout of a connection attempt to all hosts, including the LISTEN statement."""


WAKEUP_INTERVAL_S = 3600.0
"""Interval at which psycopg wakes up a waiting listener. Its default is a tenth of a second."""


class _Connection(psycopg.AsyncConnection):
    """Connection that is woken up by its socket only, so that waiting takes no processor time."""

    @override
    async def wait(self, gen: PQGen[RV], interval: float = WAKEUP_INTERVAL_S, timeout: float | None = None) -> RV:
        return await super().wait(gen, interval, timeout)


class Listener:
    """Listener on one notification channel.

    Calls `on_notification` with the payload of each notification, and `on_state_change` when `is_listening` has
    changed. Notifications are lost while it is not listening: poll meanwhile, and once more when it is listening again.
    """

    def __init__(
        self,
        url: str,
        channel: str,
        *,
        on_notification: Callable[[str], None],
        on_state_change: Callable[[], None],
    ) -> None:
        self.is_listening = False
        self._url = url
        self._channel = channel
        self._on_notification = on_notification
        self._on_state_change = on_state_change
        self._failures = 0

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            try:
                await self._listen()
            except (psycopg.OperationalError, TimeoutError) as error:
                self._failures += 1
                delay_s = backoff.apply_jitter(
                    backoff.compute_exponential_delay_s(
                        self._failures, INITIAL_RECONNECT_DELAY_S, MAX_RECONNECT_DELAY_S
                    )
                )
                log.warning(
                    "not listening on channel %s: %s; falling back to polling, reconnecting in %.1f s",
                    self._channel,
                    " ".join(str(error).split()) or type(error).__name__,
                    delay_s,
                )
                await asyncio.sleep(delay_s)

    async def _listen(self) -> None:
        async with (
            asyncio.timeout(CONNECT_TIMEOUT_S) as timeout,
            await _Connection.connect(build_conninfo(self._url), autocommit=True) as connection,
        ):
            await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self._channel)))
            timeout.reschedule(None)
            self._failures = 0
            self._set_listening(is_listening=True)
            try:
                async for notification in connection.notifies():
                    self._on_notification(notification.payload)
            finally:
                self._set_listening(is_listening=False)

    def _set_listening(self, *, is_listening: bool) -> None:
        self.is_listening = is_listening
        self._on_state_change()
