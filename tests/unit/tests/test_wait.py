"""Polling of synchronous and asynchronous conditions, and of a process until it responds."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.free_ports import find_free_port
from tests.wait import wait_until, wait_until_async, wait_until_process_is_ready


def test_wait_until_returns_first_true_result() -> None:
    results = iter(["", "", "ready"])
    assert wait_until(lambda: next(results), interval_s=0) == "ready"


def test_wait_until_raises_after_timeout() -> None:
    with pytest.raises(TimeoutError, match=r"the order is ready: timeout after 0\.01 s"):
        wait_until(lambda: False, 0.01, interval_s=0, description="the order is ready")


async def test_wait_until_async_accepts_synchronous_condition() -> None:
    results = iter(["", "", "ready"])
    assert await wait_until_async(lambda: next(results), interval_s=0) == "ready"


async def test_wait_until_async_accepts_asynchronous_condition() -> None:
    results = iter([0, 0, 3])

    async def count() -> int:
        return next(results)

    assert await wait_until_async(count, interval_s=0) == 3


async def test_wait_until_async_raises_after_timeout() -> None:
    with pytest.raises(TimeoutError, match=r"condition: timeout after 0\.01 s"):
        await wait_until_async(lambda: False, 0.01, 0)


def test_exited_process_raises_assertion_error_with_log(tmp_path: Path) -> None:
    log_path = tmp_path / "log"
    with (
        log_path.open("wb") as log,
        subprocess.Popen([sys.executable, "-c", "print('port in use')"], stdout=log) as process,
        pytest.raises(AssertionError, match="is not ready within 20 s\nport in use"),
    ):
        wait_until_process_is_ready(process, f"http://127.0.0.1:{find_free_port()}/ready", 20, log_path)
