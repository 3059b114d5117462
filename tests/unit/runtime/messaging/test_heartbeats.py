"""Heartbeats of an AMQP connection with simulated timers."""

from collections.abc import Callable
from typing import Any

import pytest

from services.runtime.messaging.heartbeats import TOLERANCE_S, HeartbeatResponder

TIMEOUT_S = 6


class SimulatedConnection:
    """Connection with a simulated clock, which records the times of sent heartbeats."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: dict[object, tuple[float, Callable[[], None]]] = {}
        self.sent_at: list[float] = []
        self.bytes_sent = self.bytes_received = 0
        self.is_terminated = False

    def _adapter_call_later(self, delay_s: float, callback: Callable[[], None]) -> object:
        timer = object()
        self.timers[timer] = (self.now + delay_s, callback)
        return timer

    def _adapter_remove_timeout(self, timer: object) -> None:
        del self.timers[timer]

    def _send_frame(self, _: object) -> None:
        self.sent_at.append(round(self.now, 3))

    def _terminate_stream(self, _: object) -> None:
        self.is_terminated = True

    def advance(self, end: float) -> None:
        while due := sorted((at, timer) for timer, (at, _) in self.timers.items() if at <= end):
            self.now, timer = due[0]
            self.timers.pop(timer)[1]()
        self.now = end

    def receive_heartbeat(self, responder: HeartbeatResponder) -> None:
        self.bytes_received += 8
        responder.received()


@pytest.fixture
def connection() -> SimulatedConnection:
    return SimulatedConnection()


def test_heartbeat_is_sent_when_one_is_received(connection: SimulatedConnection) -> None:
    responder = HeartbeatResponder(as_any(connection), TIMEOUT_S)
    for number in range(1, 6):
        connection.advance(number * (TIMEOUT_S / 2 - 0.01))
        connection.receive_heartbeat(responder)
        assert connection.sent_at[-1] == round(connection.now, 3)
    assert len(connection.sent_at) == 5
    responder.stop()
    assert not connection.timers


def test_heartbeats_are_sent_without_those_of_the_broker(connection: SimulatedConnection) -> None:
    HeartbeatResponder(as_any(connection), TIMEOUT_S)
    connection.advance(10)
    interval_s = TIMEOUT_S / 2
    assert connection.sent_at == [interval_s, 2 * interval_s + TOLERANCE_S, 3 * interval_s + 2 * TOLERANCE_S]


def test_connection_without_data_is_terminated(connection: SimulatedConnection) -> None:
    HeartbeatResponder(as_any(connection), TIMEOUT_S)
    connection.advance(TIMEOUT_S + 5)
    assert connection.is_terminated


def as_any(connection: SimulatedConnection) -> Any:
    return connection
