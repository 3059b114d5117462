import asyncio
from types import SimpleNamespace

import pytest
from pika.spec import Basic

from services.runtime.messaging.publisher_confirms import ConfirmBatch, PublisherConfirms, PublishNacked


def frame(kind: type, tag: int, *, multiple: bool = False) -> SimpleNamespace:
    return SimpleNamespace(method=kind(delivery_tag=tag, multiple=multiple))


async def test_who_waits_is_told_when_the_last_of_its_own_is_taken() -> None:
    confirms, first, second = PublisherConfirms(), ConfirmBatch(), ConfirmBatch()
    for batch in (first, second, first, second):
        confirms.register(batch)

    confirms.on_confirm(frame(Basic.Ack, 2))
    confirms.on_confirm(frame(Basic.Ack, 3, multiple=True))
    await asyncio.wait_for(first.wait(), 1)
    waiting = asyncio.create_task(second.wait())
    await asyncio.sleep(0)
    assert not waiting.done()

    confirms.on_confirm(frame(Basic.Ack, 4))
    await asyncio.wait_for(waiting, 1)
    assert confirms.confirm_count == 3


async def test_one_that_is_refused_fails_its_batch_alone() -> None:
    confirms, first, second = PublisherConfirms(), ConfirmBatch(), ConfirmBatch()
    for batch in (first, first, second):
        confirms.register(batch)

    confirms.on_confirm(frame(Basic.Nack, 1))
    confirms.on_confirm(frame(Basic.Ack, 3, multiple=True))

    with pytest.raises(PublishNacked):
        await first.wait()
    await second.wait()


async def test_who_stops_waiting_may_ask_again() -> None:
    confirms, batch = PublisherConfirms(), ConfirmBatch()
    confirms.register(batch)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(batch.wait(), 0.01)

    confirms.on_confirm(frame(Basic.Ack, 1))
    await batch.wait()


async def test_nothing_sent_is_taken() -> None:
    await ConfirmBatch().wait()
