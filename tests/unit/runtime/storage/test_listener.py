"""Delays between the connection attempts of a listener without a server."""

import asyncio
import socket

import pytest

from services.runtime.core.backoff import JITTER_RATIO
from services.runtime.storage import listener as listener_module
from services.runtime.storage.listener import Listener
from tests.integration.fixtures.background_tasks import run_in_background
from tests.wait import wait_until_async


async def test_reconnect_delays_are_exponential_with_jitter(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def have_attempts_failed() -> bool:
        return len(caplog.records) >= 6

    monkeypatch.setattr(listener_module, "INITIAL_RECONNECT_DELAY_S", 0.01)
    monkeypatch.setattr(listener_module, "MAX_RECONNECT_DELAY_S", 0.08)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"postgresql://127.0.0.1:{unused.getsockname()[1]}/none"
        listener = Listener(url, "channel", on_notification=lambda _: None, on_state_change=lambda: None)
        async with run_in_background(listener.run()):
            await wait_until_async(have_attempts_failed)
    delays = [float(record.args[2]) for record in caplog.records[:6] if isinstance(record.args, tuple)]
    expected = (0.01, 0.02, 0.04, 0.08, 0.08, 0.08)
    for delay, base in zip(delays, expected, strict=True):
        assert delay == pytest.approx(base, rel=JITTER_RATIO)
    assert len(set(delays)) == len(delays), "no jitter"
    assert not listener.is_listening


async def test_cancelled_listener_stops_while_waiting_to_reconnect() -> None:
    states: list[bool] = []
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"postgresql://127.0.0.1:{unused.getsockname()[1]}/none"
        listener = Listener(url, "c", on_notification=lambda _: None, on_state_change=lambda: states.append(True))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await listener.run()
    assert states == []
