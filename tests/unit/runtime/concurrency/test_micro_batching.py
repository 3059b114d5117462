"""Batches: everybody is answered for what they asked, whoever else was in the batch."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generated.problems import Reason
from services.runtime.concurrency.micro_batching import MicroBatcher
from services.runtime.core.errors import ApiError


class Doubling:
    """Doubles numbers, but none below zero; remembers how many it did at once."""

    def __init__(self, *, away: bool = False) -> None:
        self.sizes: list[int] = []
        self.away = away

    async def __call__(self, items: Sequence[int]) -> Sequence[int]:
        self.sizes.append(len(items))
        await asyncio.sleep(0)
        if self.away:
            raise ApiError(Reason.UPSTREAM_UNAVAILABLE)
        if any(item < 0 for item in items):
            raise ValueError("below zero")
        return [item * 2 for item in items]


@given(st.lists(st.integers(-3, 30), max_size=40), st.integers(1, 12))
def test_each_is_answered_for_itself(items: list[int], most: int) -> None:
    async def run() -> list[int | BaseException]:
        batches = MicroBatcher(Doubling(), most)
        return await asyncio.gather(*map(batches.submit, items), return_exceptions=True)

    answers = asyncio.run(run())
    assert [answer if isinstance(answer, int) else None for answer in answers] == [
        item * 2 if item >= 0 else None for item in items
    ]
    assert all(isinstance(answer, int | ValueError) for answer in answers)


async def test_who_comes_meanwhile_goes_together() -> None:
    work = Doubling()
    batches = MicroBatcher(work, 10)
    assert await asyncio.gather(*map(batches.submit, range(25))) == [n * 2 for n in range(25)]
    assert work.sizes == [10, 10, 5]
    assert await batches.submit(4) == 8


async def test_a_store_that_is_away_is_asked_once() -> None:
    work = Doubling(away=True)
    batches = MicroBatcher(work)
    answers = await asyncio.gather(*map(batches.submit, range(5)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {ApiError}
    assert work.sizes == [5]


async def test_who_gives_up_is_left_out() -> None:
    work = Doubling()
    batches = MicroBatcher(work, 1)
    first, second = asyncio.create_task(batches.submit(1)), asyncio.create_task(batches.submit(2))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    assert await first == 2
    assert await batches.submit(3) == 6
