import asyncio
from types import SimpleNamespace

import pytest
from pika.spec import Basic

from services.runtime.confirms import Batch, Confirms, Refused


def frame(kind: type, tag: int, *, multiple: bool = False) -> SimpleNamespace:
    return SimpleNamespace(method=kind(delivery_tag=tag, multiple=multiple))


async def test_who_waits_is_told_when_the_last_of_its_own_is_taken() -> None:
    confirms, first, second = Confirms(), Batch(), Batch()
    for batch in (first, second, first, second):
        confirms.sent(batch)

    confirms.arrived(frame(Basic.Ack, 2))
    confirms.arrived(frame(Basic.Ack, 3, multiple=True))
    await asyncio.wait_for(first.taken(), 1)
    waiting = asyncio.create_task(second.taken())
    await asyncio.sleep(0)
    assert not waiting.done()

    confirms.arrived(frame(Basic.Ack, 4))
    await asyncio.wait_for(waiting, 1)
    assert confirms.answers == 3


async def test_one_that_is_refused_fails_its_batch_alone() -> None:
    confirms, first, second = Confirms(), Batch(), Batch()
    for batch in (first, first, second):
        confirms.sent(batch)

    confirms.arrived(frame(Basic.Nack, 1))
    confirms.arrived(frame(Basic.Ack, 3, multiple=True))

    with pytest.raises(Refused):
        await first.taken()
    await second.taken()


async def test_who_stops_waiting_may_ask_again() -> None:
    confirms, batch = Confirms(), Batch()
    confirms.sent(batch)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(batch.taken(), 0.01)

    confirms.arrived(frame(Basic.Ack, 1))
    await batch.taken()


async def test_nothing_sent_is_taken() -> None:
    await Batch().taken()
