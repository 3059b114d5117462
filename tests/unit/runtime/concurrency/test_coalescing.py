import asyncio
import gc

import pytest

from services.runtime.concurrency.coalescing import RequestCoalescer


class Ledger:
    """Answers when it is let."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.let = asyncio.Event()

    async def ask(self, about: str) -> str:
        self.asked.append(about)
        answer = f"{about} {self.asked.count(about)}"
        await self.let.wait()
        if about == "broken":
            raise ValueError(answer)
        return answer


async def until_asked(ledger: Ledger, number: int) -> None:
    async with asyncio.timeout(5):
        while len(ledger.asked) < number:
            await asyncio.sleep(0)


async def test_all_whom_one_event_wakes_ask_once() -> None:
    ledger, woken = Ledger(), asyncio.Event()
    ledger.let.set()
    together = RequestCoalescer(ledger.ask)

    async def wait(about: str) -> str:
        await woken.wait()
        return await together.get(about)

    waiting = [asyncio.create_task(wait(about)) for about in ("a", "b") * 50]
    await asyncio.sleep(0)
    woken.set()

    assert await asyncio.gather(*waiting) == ["a 1", "b 1"] * 50
    assert sorted(ledger.asked) == ["a", "b"]


async def test_nobody_is_answered_by_a_question_that_was_put_before_theirs() -> None:
    ledger = Ledger()
    together = RequestCoalescer(ledger.ask)
    early = asyncio.create_task(together.get("a"))
    await until_asked(ledger, 1)

    late = asyncio.create_task(together.get("a"))
    await until_asked(ledger, 2)
    ledger.let.set()

    assert (await early, await late) == ("a 1", "a 2")


async def test_a_failure_reaches_all_and_is_forgotten() -> None:
    ledger = Ledger()
    ledger.let.set()
    together = RequestCoalescer(ledger.ask)

    failures = await asyncio.gather(*(together.get("broken") for _ in range(3)), return_exceptions=True)

    assert [str(failure) for failure in failures] == ["broken 1"] * 3
    with pytest.raises(ValueError, match="broken 2"):
        await together.get("broken")


async def test_who_leaves_leaves_the_others_their_answer() -> None:
    ledger = Ledger()
    together = RequestCoalescer(ledger.ask)
    leaving, staying = (asyncio.create_task(together.get("a")) for _ in range(2))
    await until_asked(ledger, 1)

    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    ledger.let.set()

    assert await staying == "a 1"
    assert ledger.asked == ["a"]


async def test_a_failure_that_nobody_waits_for_is_no_news() -> None:
    said: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
    ledger = Ledger()
    together = RequestCoalescer(ledger.ask)
    leaving = asyncio.create_task(together.get("broken"))
    await until_asked(ledger, 1)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    ledger.let.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gc.collect()
    assert said == []
