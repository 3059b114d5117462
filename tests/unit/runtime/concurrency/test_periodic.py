import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from generated.problems import Reason
from services.runtime.concurrency import periodic
from services.runtime.concurrency.periodic import EARLY_TIMER_S, compute_delay_s, run_periodically, set_trigger_later
from services.runtime.core.errors import ApiError
from tests.wait import wait_until_async

LONG_INTERVAL_S = 3600.0


class Work:
    """Fake job that returns the given results, then 0; an exception among them is raised."""

    def __init__(self, *results: int | Exception) -> None:
        self.results = [*results]
        self.calls = 0

    async def __call__(self) -> int:
        self.calls += 1
        result = self.results.pop(0) if self.results else 0
        if isinstance(result, Exception):
            raise result
        return result

    async def wait_for_calls(self, count: int) -> None:
        await wait_until_async(lambda: self.calls >= count, 5, 0)
        for _ in range(5):
            await asyncio.sleep(0)
        assert self.calls == count


@asynccontextmanager
async def running_job(
    work: Callable[[], Awaitable[int]],
    interval_s: float | Callable[[], float] = LONG_INTERVAL_S,
    trigger: asyncio.Event | None = None,
) -> AsyncIterator[None]:
    task = asyncio.create_task(run_periodically(interval_s, "test job", work, trigger))
    try:
        yield
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_job_repeats_work_until_nothing_is_left() -> None:
    work = Work(3, 1)
    async with running_job(work):
        await work.wait_for_calls(3)


async def test_job_is_repeated_after_interval() -> None:
    work = Work()
    async with running_job(work, interval_s=0.01):
        await wait_until_async(lambda: work.calls >= 3, 5, 0.001)


async def test_interval_may_change_after_each_run() -> None:
    work = Work()
    intervals = iter((0.01, 0.01, LONG_INTERVAL_S))
    async with running_job(work, lambda: next(intervals)):
        await work.wait_for_calls(3)


async def test_trigger_starts_next_run_before_interval() -> None:
    work, trigger = Work(), asyncio.Event()
    async with running_job(work, trigger=trigger):
        await work.wait_for_calls(1)
        trigger.set()
        await work.wait_for_calls(2)


async def test_trigger_during_run_starts_another_run() -> None:
    trigger, calls = asyncio.Event(), 0

    async def work() -> int:
        nonlocal calls
        calls += 1
        if calls == 1:
            trigger.set()
        return 0

    async with running_job(work, trigger=trigger):
        await wait_until_async(lambda: calls >= 2, 5, 0)


async def test_api_error_is_logged_and_job_continues(caplog: pytest.LogCaptureFixture) -> None:
    work, trigger = Work(ApiError(Reason.UPSTREAM_UNAVAILABLE), 1), asyncio.Event()
    async with running_job(work, trigger=trigger):
        await work.wait_for_calls(1)
        trigger.set()
        await work.wait_for_calls(3)
    (record,) = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert record.getMessage().startswith("periodic job failed: test job: ")


async def test_unexpected_error_is_logged_and_job_continues(caplog: pytest.LogCaptureFixture) -> None:
    work, trigger = Work(ValueError("broken"), 1), asyncio.Event()
    async with running_job(work, trigger=trigger):
        await work.wait_for_calls(1)
        trigger.set()
        await work.wait_for_calls(3)
    (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert record.getMessage().startswith("periodic job failed: test job: ")
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ValueError)


async def test_later_trigger_is_set_after_its_delay() -> None:
    trigger, loop = asyncio.Event(), asyncio.get_running_loop()
    started_at = loop.time()
    set_trigger_later(trigger, 0.02, 0.03)
    assert not trigger.is_set()
    async with asyncio.timeout(5):
        await trigger.wait()
    assert loop.time() - started_at >= 0.02


@pytest.mark.parametrize("interval_s", [0.5, 5.0, 60.0])
async def test_jobs_with_multiples_of_an_interval_run_together(interval_s: float) -> None:
    loop = asyncio.get_running_loop()
    now = loop.time()
    delay_s, multiple_s = compute_delay_s(interval_s), compute_delay_s(3 * interval_s)
    elapsed_s = loop.time() - now
    assert EARLY_TIMER_S < delay_s <= interval_s + EARLY_TIMER_S
    assert multiple_s >= delay_s - elapsed_s
    remainder_s = (multiple_s - delay_s) % interval_s
    assert min(remainder_s, interval_s - remainder_s) <= elapsed_s + 1e-6


async def test_early_timer_waits_for_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "time", lambda: 100.0)
    delay_s = compute_delay_s(5.0)
    monkeypatch.setattr(loop, "time", lambda: 100.0 + delay_s - EARLY_TIMER_S / 2)
    assert compute_delay_s(5.0) == pytest.approx(5.0 + EARLY_TIMER_S / 2)


@pytest.mark.parametrize("error", [ApiError(Reason.UPSTREAM_UNAVAILABLE), ValueError("broken")])
async def test_failed_job_is_retried_after_the_whole_interval(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(periodic, "compute_delay_s", lambda _: 0.0)
    work = Work(error)
    async with running_job(work):
        await work.wait_for_calls(1)
