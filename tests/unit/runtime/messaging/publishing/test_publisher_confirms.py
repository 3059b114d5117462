import asyncio
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika.spec import Basic

from services.runtime.messaging.publishing.publisher_confirms import PublisherConfirms, PublishNacked


def frame(method: type, tag: int, *, multiple: bool = False) -> SimpleNamespace:
    return SimpleNamespace(method=method(delivery_tag=tag, multiple=multiple))


async def test_batch_completes_when_all_its_messages_are_confirmed() -> None:
    confirms = PublisherConfirms()
    first, second = confirms.register(["a", "b", "c"]), confirms.register(["d"])

    confirms.on_confirm(frame(Basic.Ack, 2))
    confirms.on_confirm(frame(Basic.Ack, 3, multiple=True))
    await asyncio.wait_for(first.wait(), 1)
    waiting = asyncio.create_task(second.wait())
    await asyncio.sleep(0)
    assert not waiting.done()

    confirms.on_confirm(frame(Basic.Ack, 4))
    await asyncio.wait_for(waiting, 1)
    assert confirms.confirm_count == 3


@given(st.lists(st.integers(1, 4), min_size=1), st.data())
async def test_batch_is_confirmed_by_acks_in_any_order(sizes: list[int], data: st.DataObject) -> None:
    confirms = PublisherConfirms()
    batches = [confirms.register(["m"] * size) for size in sizes]
    tags_by_batch = {batch: range(sum(sizes[:n]) + 1, sum(sizes[: n + 1]) + 1) for n, batch in enumerate(batches)}
    unconfirmed = set(range(1, sum(sizes) + 1))
    while unconfirmed:
        tag = data.draw(st.sampled_from(sorted(unconfirmed)))
        is_multiple = data.draw(st.booleans())
        confirms.on_confirm(frame(Basic.Ack, tag, multiple=is_multiple))
        unconfirmed -= set(range(1, tag + 1)) if is_multiple else {tag}
        for batch, tags in tags_by_batch.items():
            assert batch.is_confirmed == unconfirmed.isdisjoint(tags)


async def test_nack_fails_only_its_batch() -> None:
    confirms = PublisherConfirms()
    first, second = confirms.register(["a", "b"]), confirms.register(["c"])

    confirms.on_confirm(frame(Basic.Nack, 1))
    confirms.on_confirm(frame(Basic.Ack, 3, multiple=True))

    with pytest.raises(PublishNacked):
        await first.wait()
    await second.wait()


async def test_returned_message_is_reported_only_by_its_batch() -> None:
    confirms = PublisherConfirms()
    first, second = confirms.register(["a", "b"]), confirms.register(["c"])

    confirms.on_return("b")
    confirms.on_confirm(frame(Basic.Ack, 3, multiple=True))

    await asyncio.gather(first.wait(), second.wait())
    assert (first.returned_ids, second.returned_ids) == ({"b"}, set())


async def test_wait_can_be_repeated_after_timeout() -> None:
    confirms = PublisherConfirms()
    batch = confirms.register(["m"])
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(batch.wait(), 0.01)

    confirms.on_confirm(frame(Basic.Ack, 1))
    await batch.wait()


async def test_empty_batch_is_confirmed() -> None:
    await PublisherConfirms().register([]).wait()


async def test_single_acks_advance_the_first_unconfirmed_tag() -> None:
    confirms = PublisherConfirms()
    for tag in range(1, 4):
        confirms.register(["m"])
        confirms.on_confirm(frame(Basic.Ack, tag))
    assert confirms._first_unconfirmed_tag == 4

    batch = confirms.register(["a", "b"])
    confirms.on_confirm(frame(Basic.Ack, 5))
    assert confirms._first_unconfirmed_tag == 4
    confirms.on_confirm(frame(Basic.Ack, 4))
    assert confirms._first_unconfirmed_tag == 6
    await batch.wait()
