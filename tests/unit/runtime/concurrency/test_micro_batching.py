"""Micro-batching: each caller receives the result of its own item."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generated.problems import Reason
from services.runtime.concurrency.micro_batching import MicroBatcher
from services.runtime.core.errors import ApiError
from services.runtime.telemetry import tracing


class DoublingHandler:
    """Doubles numbers, rejects batches with negative numbers and records the batch sizes."""

    def __init__(self, *, unavailable: bool = False) -> None:
        self.batch_sizes: list[int] = []
        self.unavailable = unavailable

    async def __call__(self, items: Sequence[int]) -> Sequence[int]:
        self.batch_sizes.append(len(items))
        await asyncio.sleep(0)
        if self.unavailable:
            raise ApiError(Reason.UPSTREAM_UNAVAILABLE)
        if any(item < 0 for item in items):
            raise ValueError("below zero")
        return [item * 2 for item in items]


@given(st.lists(st.integers(-3, 30), max_size=40), st.integers(1, 12))
def test_each_caller_receives_result_of_its_item(items: list[int], max_batch_size: int) -> None:
    async def run() -> list[int | BaseException]:
        batcher = MicroBatcher(DoublingHandler(), max_batch_size)
        return await asyncio.gather(*map(batcher.submit, items), return_exceptions=True)

    results = asyncio.run(run())
    assert [result if isinstance(result, int) else None for result in results] == [
        item * 2 if item >= 0 else None for item in items
    ]
    assert all(isinstance(result, int | ValueError) for result in results)


async def test_items_submitted_during_batch_form_next_batch() -> None:
    handler = DoublingHandler()
    batcher = MicroBatcher(handler, 10)
    assert await asyncio.gather(*map(batcher.submit, range(25))) == [n * 2 for n in range(25)]
    assert handler.batch_sizes == [10, 10, 5]
    assert await batcher.submit(4) == 8


async def test_delayed_batch_contains_items_submitted_meanwhile() -> None:
    handler = DoublingHandler()
    batcher = MicroBatcher(handler, 10, delay_s=0.05)
    first = asyncio.create_task(batcher.submit(1))
    for _ in range(3):
        await asyncio.sleep(0)
    assert handler.batch_sizes == []
    assert await asyncio.gather(first, batcher.submit(2)) == [2, 4]
    assert handler.batch_sizes == [2]


async def test_full_batch_is_not_delayed() -> None:
    handler = DoublingHandler()
    batcher = MicroBatcher(handler, 3, delay_s=60)
    async with asyncio.timeout(5):
        assert await asyncio.gather(*map(batcher.submit, range(3))) == [0, 2, 4]
    assert handler.batch_sizes == [3]


async def test_delayed_batch_starts_when_it_is_full() -> None:
    handler = DoublingHandler()
    batcher = MicroBatcher(handler, 3, delay_s=60)
    async with asyncio.timeout(5):
        first = asyncio.create_task(batcher.submit(0))
        for _ in range(3):
            await asyncio.sleep(0)
        assert await asyncio.gather(first, batcher.submit(1), batcher.submit(2)) == [0, 2, 4]
    assert handler.batch_sizes == [3]


@pytest.mark.parametrize(
    ("sampled", "expected"), [("000", 0), ("100", 0), ("010", 1), ("011", 1), ("001", 2), ("111", 0)]
)
async def test_batch_belongs_to_the_first_sampled_trace_else_the_first(sampled: str, expected: int) -> None:
    traces: list[str] = []

    async def record_trace(items: Sequence[int]) -> Sequence[int]:
        traces.append(tracing.get_current_trace_id())
        return items

    batcher = MicroBatcher(record_trace)

    async def submit(index: int) -> int:
        with tracing.attach_context({"traceparent": f"00-{index + 1:032x}-{'b' * 16}-0{sampled[index]}"}):
            return await batcher.submit(index)

    assert await asyncio.gather(*map(submit, range(3))) == [0, 1, 2]
    assert traces == [f"{expected + 1:032x}"]


async def test_upstream_unavailable_fails_batch_without_retry() -> None:
    handler = DoublingHandler(unavailable=True)
    batcher = MicroBatcher(handler)
    results = await asyncio.gather(*map(batcher.submit, range(5)), return_exceptions=True)
    assert {type(result) for result in results} == {ApiError}
    assert handler.batch_sizes == [5]


async def test_cancelled_item_is_removed_from_batch() -> None:
    handler = DoublingHandler()
    batcher = MicroBatcher(handler, 1)
    first, second = asyncio.create_task(batcher.submit(1)), asyncio.create_task(batcher.submit(2))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    assert await first == 2
    assert await batcher.submit(3) == 6
