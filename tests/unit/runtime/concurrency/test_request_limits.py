"""Limits of concurrent uploads and event streams of a user, and of the memory of all uploads."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from generated.problems import Reason
from services.runtime.concurrency.request_limits import ByteBudget, ConcurrencyLimit, RequestLimits
from services.runtime.core.errors import ApiError
from tests.sample_rest_app import (
    IDENTITY_HEADERS,
    RecordingThingsHandler,
    Thing,
    assert_problem,
    build_identity_headers,
    create_app,
    send_request,
)

FORM = {"picture": ("cat.png", b"\x89PNG" * 50, "image/png")}


def test_user_beyond_the_maximum_is_rejected_until_a_request_ends() -> None:
    limit = ConcurrencyLimit(2)
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(limit.hold("ada"))
        with pytest.raises(ApiError) as raised, limit.hold("ada"):
            pass
        assert (raised.value.reason, raised.value.retry_after) == (Reason.TOO_MANY_REQUESTS, 1)
        with limit.hold("bob"):
            pass
    with limit.hold("ada"), limit.hold("ada"):
        pass


def test_failed_request_does_not_count_any_longer() -> None:
    limit = ConcurrencyLimit(1)
    with pytest.raises(ValueError, match="x"), limit.hold("ada"):
        raise ValueError("x")
    with limit.hold("ada"):
        pass


def test_budget_is_shared_and_returned_at_the_end() -> None:
    budget = ByteBudget(10)
    with budget.open() as first:
        first.reserve(6)
        with budget.open() as second:
            second.reserve(4)
            with pytest.raises(ApiError) as raised:
                second.reserve(1)
            assert (raised.value.reason, raised.value.retry_after) == (Reason.UPSTREAM_UNAVAILABLE, 1)
        first.reserve(4)
    with budget.open() as third:
        third.reserve(10)


def upload(app: Any) -> httpx.Response:
    return send_request(app, "PUT", "/things/a1/picture", files=FORM, headers=IDENTITY_HEADERS)


def test_upload_beyond_the_budget_returns_503_with_retry_after() -> None:
    handler = RecordingThingsHandler()
    response = upload(create_app(handler, limits=RequestLimits(upload_bytes=ByteBudget(100))))
    assert_problem(response, 503, "UPSTREAM_UNAVAILABLE")
    assert response.headers["retry-after"] == "1"
    assert handler.calls == []


def test_successful_uploads_do_not_exhaust_the_budget() -> None:
    app = create_app(RecordingThingsHandler(), limits=RequestLimits(upload_bytes=ByteBudget(1000)))
    assert [upload(app).status_code for _ in range(5)] == [204] * 5


def test_event_streams_beyond_the_limit_of_a_user_return_429() -> None:
    release = asyncio.Event()

    async def wait() -> AsyncIterator[Any]:
        await release.wait()
        return
        yield Thing(id="a1", count=1)

    async def run() -> list[int]:
        app = create_app(RecordingThingsHandler(wait), limits=RequestLimits(streams=ConcurrencyLimit(2)))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://edge/api/v1") as client:
            path = "/things/a1/events"
            tasks = {asyncio.create_task(client.get(path, headers=IDENTITY_HEADERS)) for _ in range(3)}
            (rejected,), opened = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            other = asyncio.create_task(client.get(path, headers=build_identity_headers(sub="bob")))
            release.set()
            responses = [rejected.result(), *[await each for each in [*opened, other]]]
            responses.append(await client.get(path, headers=IDENTITY_HEADERS))
            assert responses[0].headers["retry-after"] == "1"
            return [response.status_code for response in responses]

    assert asyncio.run(run()) == [429, 204, 204, 204, 204]
