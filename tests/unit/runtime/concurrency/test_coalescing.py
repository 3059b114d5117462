import asyncio
import gc

import pytest

from services.runtime.concurrency.coalescing import RequestCoalescer
from tests.wait import wait_until_async


class Backend:
    """Fake that returns a result when it is released."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.released = asyncio.Event()

    async def fetch(self, key: str) -> str:
        self.calls.append(key)
        result = f"{key} {self.calls.count(key)}"
        await self.released.wait()
        if key == "broken":
            raise ValueError(result)
        return result


async def wait_for_calls(backend: Backend, count: int) -> None:
    await wait_until_async(lambda: len(backend.calls) >= count, 5, 0)


async def test_concurrent_callers_share_one_call() -> None:
    backend, event = Backend(), asyncio.Event()
    backend.released.set()
    coalescer = RequestCoalescer(backend.fetch)

    async def get_after_event(key: str) -> str:
        await event.wait()
        return await coalescer.get(key)

    callers = [asyncio.create_task(get_after_event(key)) for key in ("a", "b") * 50]
    await asyncio.sleep(0)
    event.set()

    assert await asyncio.gather(*callers) == ["a 1", "b 1"] * 50
    assert sorted(backend.calls) == ["a", "b"]


async def test_late_caller_does_not_join_running_call() -> None:
    backend = Backend()
    coalescer = RequestCoalescer(backend.fetch)
    early = asyncio.create_task(coalescer.get("a"))
    await wait_for_calls(backend, 1)

    late = asyncio.create_task(coalescer.get("a"))
    await wait_for_calls(backend, 2)
    backend.released.set()

    assert (await early, await late) == ("a 1", "a 2")


async def test_failure_reaches_all_callers_and_is_not_cached() -> None:
    backend = Backend()
    backend.released.set()
    coalescer = RequestCoalescer(backend.fetch)

    failures = await asyncio.gather(*(coalescer.get("broken") for _ in range(3)), return_exceptions=True)

    assert [str(failure) for failure in failures] == ["broken 1"] * 3
    with pytest.raises(ValueError, match="broken 2"):
        await coalescer.get("broken")


async def test_cancelled_caller_does_not_cancel_others() -> None:
    backend = Backend()
    coalescer = RequestCoalescer(backend.fetch)
    cancelled, remaining = (asyncio.create_task(coalescer.get("a")) for _ in range(2))
    await wait_for_calls(backend, 1)

    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    backend.released.set()

    assert await remaining == "a 1"
    assert backend.calls == ["a"]


async def test_failure_without_remaining_callers_is_not_reported() -> None:
    reports: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
    backend = Backend()
    coalescer = RequestCoalescer(backend.fetch)
    cancelled = asyncio.create_task(coalescer.get("broken"))
    await wait_for_calls(backend, 1)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    backend.released.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gc.collect()
    assert reports == []
