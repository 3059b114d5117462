import asyncio
from types import SimpleNamespace

import pytest
from pika.spec import Basic

from services.runtime.messaging.publisher_confirms import ConfirmBatch, PublisherConfirms, PublishNacked


def frame(method: type, tag: int, *, multiple: bool = False) -> SimpleNamespace:
    return SimpleNamespace(method=method(delivery_tag=tag, multiple=multiple))


async def test_batch_completes_when_all_its_messages_are_confirmed() -> None:
    confirms, first, second = PublisherConfirms(), ConfirmBatch(), ConfirmBatch()
    for batch in (first, second, first, second):
        confirms.register(batch, "m")

    confirms.on_confirm(frame(Basic.Ack, 2))
    confirms.on_confirm(frame(Basic.Ack, 3, multiple=True))
    await asyncio.wait_for(first.wait(), 1)
    waiting = asyncio.create_task(second.wait())
    await asyncio.sleep(0)
    assert not waiting.done()

    confirms.on_confirm(frame(Basic.Ack, 4))
    await asyncio.wait_for(waiting, 1)
    assert confirms.confirm_count == 3


async def test_nack_fails_only_its_batch() -> None:
    confirms, first, second = PublisherConfirms(), ConfirmBatch(), ConfirmBatch()
    for batch in (first, first, second):
        confirms.register(batch, "m")

    confirms.on_confirm(frame(Basic.Nack, 1))
    confirms.on_confirm(frame(Basic.Ack, 3, multiple=True))

    with pytest.raises(PublishNacked):
        await first.wait()
    await second.wait()


async def test_returned_message_is_reported_only_by_its_batch() -> None:
    confirms, first, second = PublisherConfirms(), ConfirmBatch(), ConfirmBatch()
    for batch, message_id in ((first, "a"), (first, "b"), (second, "c")):
        confirms.register(batch, message_id)

    confirms.on_return("b")
    confirms.on_confirm(frame(Basic.Ack, 3, multiple=True))

    await asyncio.gather(first.wait(), second.wait())
    assert (first.returned_ids, second.returned_ids) == ({"b"}, set())


async def test_wait_can_be_repeated_after_timeout() -> None:
    confirms, batch = PublisherConfirms(), ConfirmBatch()
    confirms.register(batch, "m")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(batch.wait(), 0.01)

    confirms.on_confirm(frame(Basic.Ack, 1))
    await batch.wait()


async def test_empty_batch_is_confirmed() -> None:
    await ConfirmBatch().wait()
