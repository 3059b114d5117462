"""Acknowledgements that are sent together."""

import asyncio
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.messaging.acknowledgements import Acknowledgements

COUNT = 6


class FakeBroker:
    """Broker with unacknowledged messages, and the received frames."""

    def __init__(self) -> None:
        self.frames: list[tuple[int, bool]] = []
        self.unacknowledged = [*range(1, COUNT + 1)]
        self.acknowledgements = Acknowledgements(self._acknowledge)
        for tag in self.unacknowledged:
            self.acknowledgements.register(tag)

    def _acknowledge(self, tag: int, multiple: bool) -> None:
        self.frames.append((tag, multiple))
        assert tag in self.unacknowledged, "the broker would close the channel"
        self.unacknowledged = [each for each in self.unacknowledged if each != tag and (each > tag or not multiple)]

    async def acknowledge(self, tags: Iterable[int]) -> None:
        for tag in tags:
            self.acknowledgements.add(tag)
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("tags", "frames"),
    [
        ([1], [(1, False)]),
        ([2, 1, 3], [(3, True)]),
        ([1, 2, 4, 6], [(2, True), (4, False), (6, False)]),
        ([5, 3], [(3, False), (5, False)]),
    ],
)
async def test_oldest_messages_are_acknowledged_by_one_frame(tags: list[int], frames: list[tuple[int, bool]]) -> None:
    broker = FakeBroker()
    await broker.acknowledge(tags)
    assert broker.frames == frames


async def test_message_before_acknowledged_ones_is_not_acknowledged() -> None:
    broker = FakeBroker()
    await broker.acknowledge([2, 3])
    assert broker.unacknowledged == [1, 4, 5, 6]
    await broker.acknowledge([1, 4])
    assert broker.frames == [(2, False), (3, False), (4, True)]


@given(order=st.permutations(range(1, COUNT + 1)), sizes=st.lists(st.integers(1, 3), min_size=COUNT))
async def test_exactly_the_given_messages_are_acknowledged(order: list[int], sizes: list[int]) -> None:
    broker, remaining = FakeBroker(), [*order]
    for size in sizes:
        batch, remaining = remaining[:size], remaining[size:]
        await broker.acknowledge(batch)
        assert broker.unacknowledged == sorted(remaining)
