"""Open streams: registration, and their end at shutdown."""

import asyncio

import pytest

from generated.problems import Reason
from services.runtime.core.errors import ApiError
from services.runtime.rpc.streams import ServerStreams


async def hold_stream(streams: ServerStreams, opened: asyncio.Event) -> None:
    async with streams.track():
        opened.set()
        await asyncio.Event().wait()


async def open_streams(streams: ServerStreams, count: int) -> list[asyncio.Task[None]]:
    events = [asyncio.Event() for _ in range(count)]
    tasks = [asyncio.create_task(hold_stream(streams, opened)) for opened in events]
    for opened in events:
        await opened.wait()
    return tasks


async def test_shutdown_ends_every_open_stream_as_unavailable() -> None:
    streams = ServerStreams()
    tasks = await open_streams(streams, 3)
    streams.close_all()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert {(error.reason, error.retry_after) for error in results if isinstance(error, ApiError)} == {
        (Reason.UPSTREAM_UNAVAILABLE, 1)
    }
    assert len(results) == 3


async def test_stream_without_shutdown_ends_normally() -> None:
    streams = ServerStreams()
    async with streams.track():
        pass
    streams.close_all()
    async with streams.track():
        await asyncio.sleep(0)


async def test_ended_stream_is_not_tracked() -> None:
    streams = ServerStreams()
    (task,) = await open_streams(streams, 1)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled(), "the cancellation by the client is not reported as a shutdown"
    assert streams._open_timeouts == set()


async def test_timeout_error_of_the_stream_itself_is_unchanged() -> None:
    streams = ServerStreams()
    with pytest.raises(TimeoutError, match="database"):
        async with streams.track():
            raise TimeoutError("database")


async def test_error_of_the_stream_is_unchanged() -> None:
    with pytest.raises(ApiError) as raised:
        async with ServerStreams().track():
            raise ApiError(Reason.ORDER_NOT_FOUND)
    assert raised.value.reason is Reason.ORDER_NOT_FOUND
