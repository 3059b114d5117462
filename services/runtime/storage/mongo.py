"""Client of MongoDB with pymongo's asyncio API, with spans and error mapping."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import Context
from typing import Any, override

from bson.codec_options import TypeDecoder, TypeRegistry
from bson.int64 import Int64
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind
from pymongo import AsyncMongoClient, InsertOne, ReplaceOne, periodic_executor
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError, PyMongoError
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from generated.problems import Reason
from services.runtime.core.errors import ApiError
from services.runtime.telemetry import tracing
from services.runtime.telemetry.database_operations import DatabaseOperation, Failure

type Document = dict[str, Any]

_DUPLICATE_KEY = 11000
"""MongoDB error code."""

HEARTBEAT_INTERVAL_S = 3
"""Interval of the checks of a server."""

MAINTENANCE_INTERVAL_S = 30
"""Interval of the task that closes abandoned cursors and unused connections, which pymongo runs once a second."""


MAX_OPEN_COMMANDS = 1024
"""Maximum number of commands whose end is awaited, far more than a client has connections."""


class _IntDecoder(TypeDecoder):
    """Decoder of 64-bit integers as int. Their own class cannot be encoded as JSON."""

    bson_type = Int64

    @override
    def transform_bson(self, value: Int64) -> int:
        return int(value)


class _CommandListener(CommandListener):
    """Listener that measures the commands on collections, and creates a span for each within a recorded span.

    Spans have no document contents. Commands of the connection, such as its login, are not measured.

    pymongo does not report the end of a cancelled command, so that the oldest of too many commands is removed.
    """

    def __init__(self) -> None:
        self._operations: dict[tuple[str, str, str], DatabaseOperation] = {}
        self._open: dict[int, tuple[DatabaseOperation, Span | None]] = {}

    @override
    def started(self, event: CommandStartedEvent) -> None:
        """Start the span of a command."""
        collection = event.command.get(event.command_name)
        if not isinstance(collection, str):
            return
        key = (event.database_name, event.command_name, collection)
        operation = self._operations.get(key)
        if operation is None:
            operation = self._operations[key] = DatabaseOperation("mongodb", *key)
        span = None
        if trace.get_current_span().is_recording():
            span = tracing.tracer.start_span(operation.name, kind=SpanKind.CLIENT, attributes=operation.attributes)
        self._open[event.request_id] = operation, span
        if len(self._open) > MAX_OPEN_COMMANDS:
            _, abandoned_span = self._open.pop(next(iter(self._open)))
            if abandoned_span is not None:
                tracing.record_error(abandoned_span, "CancelledError")
                abandoned_span.end()

    @override
    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Record the duration, and end the span."""
        self._end(event, None)

    @override
    def failed(self, event: CommandFailedEvent) -> None:
        """Record the duration, and end the span with an error.

        The error code is missing if the command failed without a response, for example by a timeout.
        """
        code = event.failure.get("code")
        failure = Failure(str(event.failure.get("codeName", "CommandFailed")), "" if code is None else str(code))
        self._end(event, failure)

    def _end(self, event: CommandSucceededEvent | CommandFailedEvent, failure: Failure | None) -> None:
        operation, span = self._open.pop(event.request_id, (None, None))
        if operation is None:
            return
        operation.record(failure, event.duration_micros / 1_000_000)
        if span is not None:
            if failure is not None:
                span.set_attributes(failure.attributes)
                tracing.record_error(span, failure.error_type)
            span.end()


class _EventExecutor(periodic_executor.AsyncPeriodicExecutor):
    """Periodic task of pymongo that waits for its next run or for `wake`.

    pymongo's own executor checks twice a second whether it was woken up.
    """

    def __init__(self, interval: float, min_interval: float, target: Any, name: str | None = None) -> None:
        interval_s = interval if interval >= HEARTBEAT_INTERVAL_S else MAINTENANCE_INTERVAL_S
        super().__init__(interval_s, min_interval, target, name)
        self._wakeup = asyncio.Event()

    @override
    def open(self) -> None:
        Context().run(super().open)  # the timeout of the operation that connects does not apply to the task

    @override
    def wake(self) -> None:
        self._wakeup.set()

    @override
    async def _run(self) -> None:
        while not self._stopped:
            if not await self._target():
                self._stopped = True
            elif self._stopped:
                break  # type: ignore[unreachable]  # `close` may be called during the run
            elif self._skip_sleep:
                self._skip_sleep = False
            else:
                await self._sleep()
            self._wakeup.clear()

    async def _sleep(self) -> None:
        earliest_end = time.monotonic() + self._min_interval
        with suppress(TimeoutError):
            async with asyncio.timeout(self._interval):
                await self._wakeup.wait()
        await asyncio.sleep(max(0.0, earliest_end - time.monotonic()))


periodic_executor.AsyncPeriodicExecutor = _EventExecutor  # type: ignore[misc]  # used by all clients


def connect(url: str) -> tuple[AsyncMongoClient[Document], AsyncDatabase[Document]]:
    """Return a client and the database of the URL's path. The client connects on the first command.

    A write is acknowledged when a majority of the servers has it in its journal. A server that has become unreachable
    is detected after `heartbeatFrequencyMS` and `connectTimeoutMS`. A command that fails causes a check at once.
    """
    client: AsyncMongoClient[Document] = AsyncMongoClient(
        url,
        tz_aware=True,
        type_registry=TypeRegistry([_IntDecoder()]),
        w="majority",
        serverSelectionTimeoutMS=2000,
        connectTimeoutMS=2000,
        heartbeatFrequencyMS=HEARTBEAT_INTERVAL_S * 1000,
        serverMonitoringMode="poll",  # while a stream is open, pymongo checks twice a second whether it was cancelled
        timeoutMS=4000,
        maxPoolSize=16,
        event_listeners=[_CommandListener()],
    )
    return client, client.get_default_database()


@contextmanager
def map_unavailable() -> Iterator[None]:
    """Convert errors of MongoDB. Raises ApiError: UPSTREAM_UNAVAILABLE."""
    try:
        yield
    except PyMongoError as error:
        raise _build_unavailable_error() from error


def _build_unavailable_error() -> ApiError:
    return ApiError(Reason.UPSTREAM_UNAVAILABLE, "The document store is unavailable.", retry_after=2)


async def write_batch(
    collection: AsyncCollection[Document],
    operations: Sequence[InsertOne[Document] | ReplaceOne[Document]],
    *,
    ignore_duplicates: bool = False,
) -> list[int]:
    """Execute the operations of a micro-batch in any order. Return the indexes of those that were skipped.

    With `ignore_duplicates`, a document whose key exists is skipped. Raises ApiError: UPSTREAM_UNAVAILABLE. If one of
    several operations is rejected, raises BulkWriteError, so that the micro-batcher repeats them one by one.
    """
    try:
        await collection.bulk_write(operations, ordered=False)
    except BulkWriteError as error:
        codes = {write_error["code"] for write_error in error.details["writeErrors"]}
        if ignore_duplicates:
            codes.discard(_DUPLICATE_KEY)
        if codes and len(operations) > 1:
            raise
        if codes or error.details.get("writeConcernErrors"):
            raise _build_unavailable_error() from error
        return [write_error["index"] for write_error in error.details["writeErrors"]]
    except PyMongoError as error:
        raise _build_unavailable_error() from error
    return []
