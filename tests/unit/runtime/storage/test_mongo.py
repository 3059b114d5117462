"""MongoDB client: database of the URL, write concern, and no password in its texts."""

import asyncio
import itertools
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import bson
import msgspec
import pymongo
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pymongo import _csot, periodic_executor
from pymongo.errors import AutoReconnect, BulkWriteError, OperationFailure
from pymongo.monitoring import CommandFailedEvent, CommandStartedEvent, CommandSucceededEvent
from pymongo.write_concern import WriteConcern

from generated.problems import Reason
from services.runtime.core.errors import ApiError
from services.runtime.storage import mongo
from services.runtime.telemetry import database_operations, tracing

URL = "mongodb://orders:s3cret-word@127.0.0.1:1/orders?serverSelectionTimeoutMS=10"


async def test_database_is_path_of_url_with_majority_writes() -> None:
    client, database = mongo.connect(URL)
    async with client:
        assert database.name == "orders"
        assert database["history"].write_concern == WriteConcern("majority")
        assert database["history"].codec_options.tz_aware


@pytest.mark.parametrize("amount", [1, 2**31, 2**53 - 1])
async def test_integers_of_documents_can_be_encoded_as_json(amount: int) -> None:
    client, database = mongo.connect(URL)
    async with client:
        document = bson.decode(bson.encode({"a": amount, "b": [amount]}), database["history"].codec_options)
    assert document == {"a": amount, "b": [amount]}
    assert msgspec.json.decode(msgspec.json.encode(document)) == document


async def test_write_concern_of_url_does_not_weaken_majority() -> None:
    client, database = mongo.connect(f"{URL}&w=0")
    async with client:
        assert database["history"].write_concern == WriteConcern("majority")


async def test_password_is_not_in_client_or_error() -> None:
    client, database = mongo.connect(URL)
    async with client:
        with pytest.raises(ApiError) as raised, mongo.map_unavailable(), pymongo.timeout(0.05):
            await database["history"].find_one()
        assert "s3cret-word" not in f"{client!r} {database!r} {raised.value!r} {raised.value.__cause__!r}"


@pytest.mark.parametrize("error", [AutoReconnect("closed"), OperationFailure("Authentication failed", 18)])
def test_error_is_reported_as_unavailable(error: Exception) -> None:
    with pytest.raises(ApiError) as raised, mongo.map_unavailable():
        raise error
    assert raised.value.reason is Reason.UPSTREAM_UNAVAILABLE
    assert raised.value.retry_after
    assert raised.value.__cause__ is error


@pytest.mark.parametrize(
    ("command", "spans"),
    [({"find": "history"}, ["find history"]), ({"saslContinue": 1}, []), ({"hello": 1}, [])],
    ids=["query", "redacted login", "handshake"],
)
def test_only_commands_on_collections_have_spans(
    monkeypatch: pytest.MonkeyPatch, command: dict[str, object], spans: list[str]
) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "tracer", provider.get_tracer("test"))
    listener, name, server = mongo._CommandListener(), next(iter(command)), ("127.0.0.1", 1)
    with tracing.tracer.start_as_current_span("request"):
        listener.started(CommandStartedEvent(command, "orders", 1, server, 1))
        listener.succeeded(CommandSucceededEvent(timedelta(0), {}, name, 1, server, 1, database_name="orders"))
    assert [span.name for span in exporter.get_finished_spans()] == [*spans, "request"]


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (
            {"code": 11000, "codeName": "DuplicateKey"},
            {"error.type": "DuplicateKey", "db.response.status_code": "11000"},
        ),
        ({}, {"error.type": "CommandFailed"}),
    ],
)
def test_command_is_measured_with_its_error(failure: dict[str, object], error: dict[str, str]) -> None:
    listener, server = mongo._CommandListener(), ("127.0.0.1", 1)
    listener.started(CommandStartedEvent({"insert": "measured"}, "orders", 1, server, 1))
    listener.failed(CommandFailedEvent(timedelta(seconds=0.2), failure, "insert", 1, server, 1, database_name="orders"))
    points = database_operations.DURATION.to_metric().data.data_points
    attributes = {"db.system.name": "mongodb", "db.namespace": "orders"} | error
    attributes |= {"db.operation.name": "insert", "db.collection.name": "measured"}
    (point,) = [point for point in points if point.attributes == attributes]
    assert point.sum == pytest.approx(0.2)  # type: ignore[union-attr]
    assert listener._open == {}


def test_spans_of_cancelled_commands_are_ended_and_not_retained(monkeypatch: pytest.MonkeyPatch) -> None:
    """pymongo does not report the end of a cancelled command."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "tracer", provider.get_tracer("test"))
    listener, server = mongo._CommandListener(), ("127.0.0.1", 1)
    with tracing.tracer.start_as_current_span("request"):
        for request_id in range(2000):
            listener.started(CommandStartedEvent({"find": "history"}, "orders", request_id, server, 1))
        assert list(listener._open) == list(range(2000 - mongo.MAX_OPEN_COMMANDS, 2000))
    *abandoned, _ = exporter.get_finished_spans()
    assert len(abandoned) == 2000 - mongo.MAX_OPEN_COMMANDS
    assert {span.attributes["error.type"] for span in abandoned if span.attributes} == {"CancelledError"}


class RejectingCollection:
    """Collection whose bulk writes fail with the given errors."""

    def __init__(self, codes: list[int], write_concern_errors: list[object]) -> None:
        self._details = {
            "writeErrors": [{"index": index, "code": code} for index, code in enumerate(codes)],
            "writeConcernErrors": write_concern_errors,
        }

    async def bulk_write(self, _operations: object, *, ordered: bool) -> None:
        assert not ordered, "a rejected operation must not prevent the others"
        raise BulkWriteError(self._details)


DUPLICATE, INVALID = 11000, 121


@pytest.mark.parametrize(
    ("codes", "write_concern_errors", "size", "error"),
    [
        ([DUPLICATE], [], 2, None),
        ([DUPLICATE], [{"code": 64}], 2, ApiError),
        ([], [{"code": 64}], 2, ApiError),
        ([DUPLICATE, INVALID], [], 2, BulkWriteError),
        ([INVALID], [], 1, ApiError),
    ],
)
async def test_rejected_operation_of_batch_is_distinct_from_unavailability(
    codes: list[int], write_concern_errors: list[object], size: int, error: type[Exception] | None
) -> None:
    collection: Any = RejectingCollection(codes, write_concern_errors)
    operations: list[Any] = [pymongo.InsertOne({})] * size
    with nullcontext() if error is None else pytest.raises(error):
        await mongo.write_batch(collection, operations, ignore_duplicates=True)


async def test_indexes_of_skipped_operations_are_returned() -> None:
    operations: list[Any] = [pymongo.InsertOne({})] * 3
    collection: Any = RejectingCollection([DUPLICATE, DUPLICATE], [])
    assert await mongo.write_batch(collection, operations, ignore_duplicates=True) == [0, 1]


async def test_duplicate_key_is_rejected_by_default() -> None:
    collection: Any = RejectingCollection([DUPLICATE], [])
    with pytest.raises(ApiError):
        await mongo.write_batch(collection, [pymongo.InsertOne({})])


class RecordedTask:
    """Target of an executor. Records the times at which it is run, and the timeouts that apply to it."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.timeouts: list[float | None] = []
        self.was_run = asyncio.Event()

    async def run(self) -> bool:
        self.times.append(asyncio.get_running_loop().time())
        self.timeouts.append(_csot.get_timeout())
        self.was_run.set()
        return True

    async def wait(self) -> None:
        await asyncio.wait_for(self.was_run.wait(), 5)
        self.was_run.clear()


def count_wakeups(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record the delays of timers of the running event loop."""
    loop, delays = asyncio.get_running_loop(), list[float]()
    call_at = loop.call_at

    def record(when: float, *arguments: Any, **options: Any) -> asyncio.TimerHandle:
        delays.append(when - loop.time())
        return call_at(when, *arguments, **options)

    monkeypatch.setattr(loop, "call_at", record)
    return delays


async def test_periodic_task_of_client_waits_with_one_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    task, delays = RecordedTask(), count_wakeups(monkeypatch)
    with pymongo.timeout(7):
        executor = periodic_executor.AsyncPeriodicExecutor(60, 0.5, task.run)
        executor.open()
    await task.was_run.wait()
    await asyncio.sleep(0)
    executor.close()
    await executor.join()
    assert [round(delay) for delay in delays] == [60]
    assert task.timeouts == [None]


async def test_periodic_task_of_client_is_woken_up_after_the_minimum_interval() -> None:
    task = RecordedTask()
    executor = periodic_executor.AsyncPeriodicExecutor(60, 0.05, task.run)
    executor.open()
    await task.wait()
    for _ in range(2):
        executor.wake()
        await task.wait()
    executor.close()
    await executor.join()
    intervals = [second - first for first, second in itertools.pairwise(task.times)]
    assert min(intervals) >= 0.049


async def test_periodic_tasks_of_client_have_a_minimum_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mongo, "MAINTENANCE_INTERVAL_S", 0.1)
    task = RecordedTask()
    executor = periodic_executor.AsyncPeriodicExecutor(0.001, 0, task.run)
    executor.open()
    for _ in range(3):
        await task.wait()
    executor.close()
    await executor.join()
    assert task.times[2] - task.times[0] >= 0.19


async def test_periodic_task_of_client_that_is_closed_during_its_run_ends() -> None:
    runs: list[None] = []

    async def close() -> bool:
        runs.append(None)
        executor.close()
        return True

    executor = periodic_executor.AsyncPeriodicExecutor(60, 0, close)
    executor.open()
    async with asyncio.timeout(5):
        await executor.join()
    assert len(runs) == 1
