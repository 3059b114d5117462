import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import ASGIApp, Message

from generated.problems import Reason
from services.runtime.core.errors import ApiError
from services.runtime.rest.app import serve_app
from services.runtime.rest.server_sent_events import HEARTBEAT_S, encode_event, get_data_schema, stream_events
from services.runtime.rest.types import Event
from services.runtime.rpc.service import current_deadline
from tests.sample_rest_app import (
    IDENTITY_HEADERS,
    THING,
    RecordingThingsHandler,
    Thing,
    assert_problem,
    build_identity_headers,
    create_app,
    send_request,
)

WIRE = 'id: {}\ndata: {{"id":"a1","count":3}}\n\n'


async def told(*ids: str) -> AsyncIterator[Event[Thing]]:
    for each in ids:
        yield Event(each, THING)


class Endless:
    """Says one thing, or nothing, then waits; knows whether it was closed."""

    def __init__(self, *ids: str) -> None:
        self._ids = ids
        self.closed = asyncio.Event()

    async def __call__(self) -> AsyncIterator[Event[Thing]]:
        try:
            for each in self._ids:
                yield Event(each, THING)
            await asyncio.Event().wait()
        finally:
            self.closed.set()


async def failing(*ids: str, error: BaseException) -> AsyncIterator[Event[Thing]]:
    for each in ids:
        yield Event(each, THING)
    raise error


class Client:
    """The other end of one response, who may leave."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.left = asyncio.Event()
        self._arrived = asyncio.Condition()

    async def receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        async with self._arrived:
            self.sent.append(message)
            self._arrived.notify_all()

    async def until(self, seen: Callable[[bytes], bool]) -> None:
        async with asyncio.timeout(5), self._arrived:
            await self._arrived.wait_for(lambda: seen(self.body))

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    @property
    def complete(self) -> bool:
        return bool(self.sent) and not self.sent[-1].get("more_body", False)


class Watched(NamedTuple):
    client: Client
    ending: asyncio.Event
    done: asyncio.Task[None]


def watch(events: AsyncIterator[Event[Any]], **options: Any) -> Watched:
    client, ending = Client(), asyncio.Event()
    running = stream_events(events, client.receive, client.send, shutdown=ending, **options)
    return Watched(client, ending, asyncio.create_task(running))


async def soon[T](awaited: Awaitable[T]) -> T:
    return await asyncio.wait_for(awaited, timeout=5)


@asynccontextmanager
async def served(app: ASGIApp, folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with serve_app(app, folder / "s", grace_s=5), edge_of(folder) as client:
        yield client


def edge_of(folder: Path) -> httpx.AsyncClient:
    transport = httpx.AsyncHTTPTransport(uds=str(folder / "s"))
    return httpx.AsyncClient(transport=transport, base_url="http://edge/api/v1", trust_env=False)


def test_events_arrive_in_their_order_with_their_ids() -> None:
    things = RecordingThingsHandler(lambda: told("1", "2"))
    answer = send_request(
        create_app(things), "GET", "/things/a1/events", headers={**IDENTITY_HEADERS, "last-event-id": "7"}
    )
    assert (answer.status_code, answer.text) == (200, WIRE.format("1") + WIRE.format("2"))
    assert (answer.headers["content-type"], answer.headers["cache-control"]) == ("text/event-stream", "no-store")
    assert "content-length" not in answer.headers
    assert things.calls[0]["last_event_id"] == 7
    assert things.calls[0]["principal"].user_id == "user-1"


def test_a_last_event_id_is_a_parameter_as_any_other() -> None:
    things = RecordingThingsHandler(told)
    wrong = {**IDENTITY_HEADERS, "last-event-id": "x"}
    assert_problem(send_request(create_app(things), "GET", "/things/a1/events", headers=wrong), 400, "INVALID_REQUEST")
    assert things.calls == []
    assert send_request(create_app(things), "GET", "/things/a1/events", headers=IDENTITY_HEADERS).text == ""
    assert things.calls[0]["last_event_id"] is None


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [(ApiError(Reason.ORDER_NOT_FOUND), 404, "ORDER_NOT_FOUND"), (ZeroDivisionError("secret"), 500, "INTERNAL")],
)
def test_what_goes_wrong_before_the_first_event_is_a_problem(error: Exception, status: int, reason: str) -> None:
    answer = send_request(
        create_app(RecordingThingsHandler(lambda: failing(error=error))),
        "GET",
        "/things/a1/events",
        headers=IDENTITY_HEADERS,
    )
    assert_problem(answer, status, reason)
    assert "secret" not in answer.text


async def test_what_goes_wrong_afterwards_cuts_the_connection(tmp_path: Path) -> None:
    app = create_app(RecordingThingsHandler(lambda: failing("1", error=ApiError(Reason.UPSTREAM_UNAVAILABLE))))
    async with served(app, tmp_path) as edge:
        with pytest.raises(httpx.RemoteProtocolError):
            await edge.get("/things/a1/events", headers=IDENTITY_HEADERS)


def test_an_event_against_the_contract_is_our_mistake_where_that_is_checked() -> None:
    async def wrong() -> AsyncIterator[Event[Thing]]:
        yield Event("1", Thing(id="", count=-1))

    assert_problem(
        send_request(create_app(RecordingThingsHandler(wrong)), "GET", "/things/a1/events", headers=IDENTITY_HEADERS),
        500,
        "INTERNAL",
    )
    unchecked = create_app(RecordingThingsHandler(wrong), validate_responses=False)
    assert send_request(unchecked, "GET", "/things/a1/events", headers=IDENTITY_HEADERS).status_code == 200


async def test_events_arrive_when_they_are_said(tmp_path: Path) -> None:
    endless = Endless("1")
    async with served(create_app(RecordingThingsHandler(endless)), tmp_path) as edge:
        async with edge.stream("GET", "/things/a1/events", headers=IDENTITY_HEADERS) as answer:
            chunks = answer.aiter_text()
            assert await soon(anext(chunks)) == WIRE.format("1")
            assert not endless.closed.is_set()
        await soon(endless.closed.wait())


async def test_a_client_that_leaves_ends_the_iterator_at_once() -> None:
    endless = Endless("1")
    client, _, done = watch(endless())
    await client.until(lambda body: b"id: 1" in body)
    client.left.set()
    await soon(done)
    assert endless.closed.is_set()
    assert not client.complete


async def test_a_client_that_leaves_before_the_first_event_is_not_answered() -> None:
    endless = Endless()
    client, _, done = watch(endless())
    client.left.set()
    await soon(done)
    assert client.sent == []


async def test_an_iterator_that_stands_at_its_event_is_closed_too() -> None:
    endless, stuck = Endless("1", "2"), asyncio.Event()

    async def blocked(message: Message) -> None:
        stuck.set()
        await asyncio.Event().wait()

    client = Client()
    running = asyncio.create_task(stream_events(endless(), client.receive, blocked, shutdown=asyncio.Event()))
    await soon(stuck.wait())
    client.left.set()
    await soon(running)
    assert endless.closed.is_set()


async def test_a_shutdown_ends_streams_whole_and_at_once(tmp_path: Path) -> None:
    endless = Endless("1")
    async with edge_of(tmp_path) as edge:
        async with serve_app(create_app(RecordingThingsHandler(endless)), tmp_path / "s", grace_s=60):
            sent = edge.build_request("GET", "/things/a1/events", headers=IDENTITY_HEADERS)
            answer = await edge.send(sent, stream=True)
            chunks = answer.aiter_text()
            assert await soon(anext(chunks)) == WIRE.format("1")
            reading = asyncio.create_task(anext(chunks, "the end"))
            started = time.monotonic()
        assert time.monotonic() - started < 5
        assert await soon(reading) == "the end"
        assert endless.closed.is_set()


async def test_a_shutdown_before_the_first_event_says_come_again() -> None:
    endless = Endless()
    _, ending, done = watch(endless())
    ending.set()
    with pytest.raises(ApiError) as refused:
        await soon(done)
    assert (refused.value.reason, refused.value.retry_after) == (Reason.UPSTREAM_UNAVAILABLE, 1)
    assert endless.closed.is_set()


async def test_silence_is_filled_with_comments() -> None:
    client, ending, done = watch(Endless()(), heartbeat_s=0.01)
    await client.until(lambda body: body.count(b":\n\n") >= 3)
    assert client.body.replace(b":\n\n", b"") == b""
    ending.set()
    await soon(done)
    assert client.complete
    assert HEARTBEAT_S == 15


async def test_only_silence_is_filled() -> None:
    client, ending, done = watch(Endless("1", "2")(), heartbeat_s=60)
    await client.until(lambda body: b"id: 2" in body)
    ending.set()
    await soon(done)
    assert client.body.decode() == WIRE.format("1") + WIRE.format("2")


async def test_a_stream_does_not_outlive_its_token() -> None:
    client, _, done = watch(Endless("1")(), lasts_s=0.05)
    await soon(done)
    assert client.complete
    assert client.body.decode() == WIRE.format("1")


def test_a_token_that_is_over_opens_no_stream() -> None:
    app = create_app(RecordingThingsHandler(Endless()))
    assert_problem(
        send_request(app, "GET", "/things/a1/events", headers=build_identity_headers(exp=1)), 401, "UNAUTHENTICATED"
    )


async def test_cancelling_the_request_closes_the_iterator() -> None:
    endless = Endless("1")
    client, _, done = watch(endless())
    await client.until(lambda body: b"id: 1" in body)
    done.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(done)
    assert endless.closed.is_set()


async def test_a_stream_that_was_cancelled_from_within_is_not_taken_for_complete() -> None:
    client, _, done = watch(failing("1", error=asyncio.CancelledError()))
    with pytest.raises(RuntimeError, match="from within"):
        await soon(done)
    assert not client.complete


def test_calls_of_a_stream_have_no_deadline_of_its_request() -> None:
    seen: list[float | None] = []

    async def noting() -> AsyncIterator[Event[Thing]]:
        seen.append(current_deadline.get())
        yield Event("1", THING)

    def noted() -> Thing:
        seen.append(current_deadline.get())
        return THING

    patience = {**IDENTITY_HEADERS, "x-envoy-expected-rq-timeout-ms": "15000"}
    send_request(create_app(RecordingThingsHandler(noting)), "GET", "/things/a1/events", headers=patience)
    send_request(create_app(RecordingThingsHandler(noted)), "GET", "/things/latest", headers=patience)
    assert seen[0] is None
    assert seen[1] is not None


def test_a_head_request_ends_where_the_first_event_would_be() -> None:
    endless = Endless("1", "2")
    answer = send_request(
        create_app(RecordingThingsHandler(endless)), "HEAD", "/things/a1/events", headers=IDENTITY_HEADERS
    )
    assert (answer.status_code, answer.content) == (200, b"")
    assert endless.closed.is_set()


@given(st.text(), st.text())
def test_an_event_is_two_lines_whatever_it_says(name: str, text: str) -> None:
    if set(name) & set("\r\n\0"):
        with pytest.raises(ValueError, match="one line"):
            encode_event(Event(name, text))
        return
    lines = encode_event(Event(name, text)).decode().split("\n")
    assert (lines[0], lines[2:]) == (f"id: {name}", ["", ""])
    assert "\r" not in lines[1]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"id": {"type": "string"}}},
        {"type": "array", "items": {"type": "object", "properties": {"id": {"type": "string"}}}},
        {
            "type": "object",
            "properties": {
                "id": {"type": "string"},
                "data": {
                    "type": "string",
                    "contentSchema": {"type": "object", "properties": {"id": {"type": "string"}}},
                },
            },
        },
    ],
    ids=["data", "all data", "event"],
)
def test_the_schema_of_an_events_data_is_found(schema: dict[str, Any]) -> None:
    assert get_data_schema(schema) == {"type": "object", "properties": {"id": {"type": "string"}}}
