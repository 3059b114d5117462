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
from services.runtime.rest.server import serve_app
from services.runtime.rest.server_sent_events import (
    CLOCK_SKEW_S,
    HEARTBEAT_S,
    OpenStreams,
    encode_event,
    get_data_schema,
    stream_events,
)
from services.runtime.rest.types import Event
from services.runtime.rpc.deadline import current_deadline
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

ENCODED_EVENT = 'id: {}\ndata: {{"id":"a1","count":3}}\n\n'


async def iter_events(*ids: str) -> AsyncIterator[Event[Thing]]:
    for event_id in ids:
        yield Event(event_id, THING)


class EndlessEvents:
    """Event source that yields the given events and then waits; records when it is closed."""

    def __init__(self, *ids: str) -> None:
        self._ids = ids
        self.closed = asyncio.Event()

    async def __call__(self) -> AsyncIterator[Event[Thing]]:
        try:
            for event_id in self._ids:
                yield Event(event_id, THING)
            await asyncio.Event().wait()
        finally:
            self.closed.set()


async def iter_events_then_fail(*ids: str, error: BaseException) -> AsyncIterator[Event[Thing]]:
    for event_id in ids:
        yield Event(event_id, THING)
    raise error


class FakeClient:
    """ASGI client of one response, which can disconnect."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.disconnected = asyncio.Event()
        self._message_sent = asyncio.Condition()

    async def receive(self) -> Message:
        await self.disconnected.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        async with self._message_sent:
            self.sent.append(message)
            self._message_sent.notify_all()

    async def wait_for_body(self, predicate: Callable[[bytes], bool]) -> None:
        async with asyncio.timeout(5), self._message_sent:
            await self._message_sent.wait_for(lambda: predicate(self.body))

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    @property
    def is_complete(self) -> bool:
        return bool(self.sent) and not self.sent[-1].get("more_body", False)


class RunningStream(NamedTuple):
    client: FakeClient
    shutdown: asyncio.Future[None]
    task: asyncio.Task[None]


def start_stream(events: AsyncIterator[Event[Any]], **options: Any) -> RunningStream:
    client, shutdown = FakeClient(), asyncio.get_running_loop().create_future()
    stream = stream_events(events, client.receive, client.send, shutdown=shutdown, **options)
    return RunningStream(client, shutdown, asyncio.create_task(stream))


async def within_timeout[T](awaitable: Awaitable[T]) -> T:
    return await asyncio.wait_for(awaitable, timeout=5)


@asynccontextmanager
async def serve_and_connect(app: ASGIApp, folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with serve_app(app, folder / "s", grace_s=5), connect(folder) as client:
        yield client


def connect(folder: Path) -> httpx.AsyncClient:
    transport = httpx.AsyncHTTPTransport(uds=str(folder / "s"))
    return httpx.AsyncClient(transport=transport, base_url="http://edge/api/v1", trust_env=False)


def test_events_are_sent_in_order_with_ids() -> None:
    things = RecordingThingsHandler(lambda: iter_events("1", "2"))
    response = send_request(
        create_app(things), "GET", "/things/a1/events", headers={**IDENTITY_HEADERS, "last-event-id": "7"}
    )
    assert (response.status_code, response.text) == (200, ENCODED_EVENT.format("1") + ENCODED_EVENT.format("2"))
    assert (response.headers["content-type"], response.headers["cache-control"]) == ("text/event-stream", "no-store")
    assert "content-length" not in response.headers
    assert things.calls[0]["last_event_id"] == 7
    assert things.calls[0]["principal"].user_id == "user-1"


def test_last_event_id_is_parsed_as_parameter() -> None:
    things = RecordingThingsHandler(iter_events)
    headers = {**IDENTITY_HEADERS, "last-event-id": "x"}
    assert_problem(
        send_request(create_app(things), "GET", "/things/a1/events", headers=headers), 400, "INVALID_REQUEST"
    )
    assert things.calls == []
    assert send_request(create_app(things), "GET", "/things/a1/events", headers=IDENTITY_HEADERS).text == ""
    assert things.calls[0]["last_event_id"] is None


def test_stream_without_events_returns_204_so_that_clients_stop() -> None:
    app = create_app(RecordingThingsHandler(iter_events))
    for method in ("GET", "HEAD"):
        response = send_request(app, method, "/things/a1/events", headers=IDENTITY_HEADERS)
        assert (response.status_code, response.content) == (204, b"")
        assert "content-type" not in response.headers


async def test_stream_ended_by_token_expiry_before_events_returns_401() -> None:
    _, _, task = start_stream(iter_events(), max_duration_s=CLOCK_SKEW_S)
    with pytest.raises(ApiError) as raised:
        await within_timeout(task)
    assert raised.value.reason is Reason.UNAUTHENTICATED


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [(ApiError(Reason.ORDER_NOT_FOUND), 404, "ORDER_NOT_FOUND"), (ZeroDivisionError("secret"), 500, "INTERNAL")],
)
def test_error_before_first_event_is_problem_document(error: Exception, status: int, reason: str) -> None:
    response = send_request(
        create_app(RecordingThingsHandler(lambda: iter_events_then_fail(error=error))),
        "GET",
        "/things/a1/events",
        headers=IDENTITY_HEADERS,
    )
    assert_problem(response, status, reason)
    assert "secret" not in response.text


async def test_error_after_first_event_aborts_connection(tmp_path: Path) -> None:
    app = create_app(
        RecordingThingsHandler(lambda: iter_events_then_fail("1", error=ApiError(Reason.UPSTREAM_UNAVAILABLE)))
    )
    async with serve_and_connect(app, tmp_path) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/things/a1/events", headers=IDENTITY_HEADERS)


def test_invalid_event_returns_500_only_with_validation() -> None:
    async def invalid_events() -> AsyncIterator[Event[Thing]]:
        yield Event("1", Thing(id="", count=-1))

    assert_problem(
        send_request(
            create_app(RecordingThingsHandler(invalid_events)), "GET", "/things/a1/events", headers=IDENTITY_HEADERS
        ),
        500,
        "INTERNAL",
    )
    app_without_validation = create_app(RecordingThingsHandler(invalid_events), validate_responses=False)
    assert send_request(app_without_validation, "GET", "/things/a1/events", headers=IDENTITY_HEADERS).status_code == 200


async def test_event_is_sent_immediately(tmp_path: Path) -> None:
    source = EndlessEvents("1")
    async with serve_and_connect(create_app(RecordingThingsHandler(source)), tmp_path) as client:
        async with client.stream("GET", "/things/a1/events", headers=IDENTITY_HEADERS) as response:
            chunks = response.aiter_text()
            assert await within_timeout(anext(chunks)) == ENCODED_EVENT.format("1")
            assert not source.closed.is_set()
        await within_timeout(source.closed.wait())


async def test_client_disconnect_closes_iterator() -> None:
    source = EndlessEvents("1")
    client, _, task = start_stream(source())
    await client.wait_for_body(lambda body: b"id: 1" in body)
    client.disconnected.set()
    await within_timeout(task)
    assert source.closed.is_set()
    assert not client.is_complete


async def test_client_disconnect_before_first_event_sends_nothing() -> None:
    source = EndlessEvents()
    client, _, task = start_stream(source())
    client.disconnected.set()
    await within_timeout(task)
    assert client.sent == []


async def test_client_disconnect_during_blocked_send_closes_iterator() -> None:
    source, is_blocked = EndlessEvents("1", "2"), asyncio.Event()

    async def block(message: Message) -> None:
        is_blocked.set()
        await asyncio.Event().wait()

    client = FakeClient()
    shutdown = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(stream_events(source(), client.receive, block, shutdown=shutdown))
    await within_timeout(is_blocked.wait())
    client.disconnected.set()
    await within_timeout(task)
    assert source.closed.is_set()


async def test_shutdown_completes_streams_immediately(tmp_path: Path) -> None:
    source = EndlessEvents("1")
    async with connect(tmp_path) as client:
        async with serve_app(create_app(RecordingThingsHandler(source)), tmp_path / "s", grace_s=60):
            request = client.build_request("GET", "/things/a1/events", headers=IDENTITY_HEADERS)
            response = await client.send(request, stream=True)
            chunks = response.aiter_text()
            assert await within_timeout(anext(chunks)) == ENCODED_EVENT.format("1")
            read_task = asyncio.create_task(anext(chunks, "the end"))
            started_at = time.monotonic()
        assert time.monotonic() - started_at < 5
        assert await within_timeout(read_task) == "the end"
        assert source.closed.is_set()


async def test_stream_that_is_opened_during_shutdown_ends() -> None:
    streams = OpenStreams()
    with streams.track() as open_before:
        assert not open_before.done()
        streams.close_all()
        assert open_before.done()
        with streams.track() as open_after:
            assert open_after.done()


async def test_shutdown_before_first_event_raises_unavailable() -> None:
    source = EndlessEvents()
    _, shutdown, task = start_stream(source())
    shutdown.set_result(None)
    with pytest.raises(ApiError) as raised:
        await within_timeout(task)
    assert (raised.value.reason, raised.value.retry_after) == (Reason.UPSTREAM_UNAVAILABLE, 1)
    assert source.closed.is_set()


async def test_revocation_of_token_completes_started_stream() -> None:
    source, revoked = EndlessEvents("1"), asyncio.get_running_loop().create_future()
    client, _, task = start_stream(source(), revoked=revoked)
    await client.wait_for_body(lambda body: b"id: 1" in body)
    revoked.set_result(None)
    await within_timeout(task)
    assert client.is_complete
    assert source.closed.is_set()


async def test_heartbeats_are_sent_while_stream_is_idle() -> None:
    client, shutdown, task = start_stream(EndlessEvents()(), heartbeat_s=0.01)
    await client.wait_for_body(lambda body: body.count(b":\n\n") >= 3)
    assert client.body.replace(b":\n\n", b"") == b""
    shutdown.set_result(None)
    await within_timeout(task)
    assert client.is_complete
    assert HEARTBEAT_S == 15


async def test_heartbeats_are_not_sent_between_frequent_events() -> None:
    client, shutdown, task = start_stream(EndlessEvents("1", "2")(), heartbeat_s=60)
    await client.wait_for_body(lambda body: b"id: 2" in body)
    shutdown.set_result(None)
    await within_timeout(task)
    assert client.body.decode() == ENCODED_EVENT.format("1") + ENCODED_EVENT.format("2")


async def test_stream_ends_after_maximum_duration() -> None:
    client, _, task = start_stream(EndlessEvents("1")(), max_duration_s=0.05)
    await within_timeout(task)
    assert client.is_complete
    assert client.body.decode() == ENCODED_EVENT.format("1")


def test_expired_token_returns_401() -> None:
    app = create_app(RecordingThingsHandler(EndlessEvents()))
    assert_problem(
        send_request(app, "GET", "/things/a1/events", headers=build_identity_headers(exp=1)), 401, "UNAUTHENTICATED"
    )


async def test_request_cancellation_closes_iterator() -> None:
    source = EndlessEvents("1")
    client, _, task = start_stream(source())
    await client.wait_for_body(lambda body: b"id: 1" in body)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await within_timeout(task)
    assert source.closed.is_set()


async def test_stream_cancelled_by_its_iterator_is_not_complete() -> None:
    client, _, task = start_stream(iter_events_then_fail("1", error=asyncio.CancelledError()))
    with pytest.raises(RuntimeError, match="cancelled unexpectedly"):
        await within_timeout(task)
    assert not client.is_complete


def test_stream_has_no_deadline_of_request() -> None:
    deadlines: list[float | None] = []

    async def record_deadline_and_stream() -> AsyncIterator[Event[Thing]]:
        deadlines.append(current_deadline.get())
        yield Event("1", THING)

    def record_deadline() -> Thing:
        deadlines.append(current_deadline.get())
        return THING

    headers = {**IDENTITY_HEADERS, "x-envoy-expected-rq-timeout-ms": "15000"}
    send_request(
        create_app(RecordingThingsHandler(record_deadline_and_stream)), "GET", "/things/a1/events", headers=headers
    )
    send_request(create_app(RecordingThingsHandler(record_deadline)), "GET", "/things/latest", headers=headers)
    assert deadlines[0] is None
    assert deadlines[1] is not None


def test_head_request_ends_at_first_event() -> None:
    source = EndlessEvents("1", "2")
    response = send_request(
        create_app(RecordingThingsHandler(source)), "HEAD", "/things/a1/events", headers=IDENTITY_HEADERS
    )
    assert (response.status_code, response.content) == (200, b"")
    assert source.closed.is_set()


@given(st.text(), st.text())
def test_encoded_event_has_two_lines_for_any_data(event_id: str, data: str) -> None:
    if set(event_id) & set("\r\n\0"):
        with pytest.raises(ValueError, match="one line"):
            encode_event(Event(event_id, data))
        return
    lines = encode_event(Event(event_id, data)).decode().split("\n")
    assert (lines[0], lines[2:]) == (f"id: {event_id}", ["", ""])
    assert "\r" not in lines[1]


def test_encoded_event_with_name_begins_with_it() -> None:
    assert encode_event(Event("7", {}, "moved")) == b"event: moved\nid: 7\ndata: {}\n\n"


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"id": {"type": "string"}}},
        {"type": "array", "items": {"type": "object", "properties": {"id": {"type": "string"}}}},
        {"type": "string", "contentSchema": {"type": "object", "properties": {"id": {"type": "string"}}}},
    ],
    ids=["data", "array of data", "text"],
)
def test_get_data_schema_returns_schema_of_event_data(schema: dict[str, Any]) -> None:
    assert get_data_schema(schema) == {"type": "object", "properties": {"id": {"type": "string"}}}
