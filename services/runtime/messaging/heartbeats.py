"""Heartbeats of an AMQP connection, in response to those of the broker."""

from typing import override

from pika.adapters.asyncio_connection import AsyncioConnection
from pika.heartbeat import HeartbeatChecker

TOLERANCE_S = 0.3
"""Time after the end of its interval within which a heartbeat of the broker is expected, in seconds."""


class HeartbeatResponder(HeartbeatChecker):  # type: ignore[misc]  # pika has no types
    """Sends a heartbeat when it receives one, so that an idle process wakes up once for both.

    Without a heartbeat of the broker, the next one is sent after pika's interval and TOLERANCE_S.
    """

    def __init__(self, connection: AsyncioConnection, timeout_s: float) -> None:
        super().__init__(connection, timeout_s)
        self._send_interval += TOLERANCE_S

    @override
    def received(self) -> None:
        super().received()
        self._connection._adapter_remove_timeout(self._send_timer)
        self._send_heartbeat()
