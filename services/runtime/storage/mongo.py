"""Client of MongoDB with pymongo's asyncio API, with spans and error mapping."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, override

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from generated.problems import Reason
from services.runtime.core.errors import ApiError
from services.runtime.telemetry import tracing

type Document = dict[str, Any]


class _SpanListener(CommandListener):
    """Listener that creates a span, without document contents, for each command within a recorded span."""

    def __init__(self) -> None:
        self._open_spans: dict[int, Span] = {}

    @override
    def started(self, event: CommandStartedEvent) -> None:
        """Start the span of a command on a collection. Commands of the connection, such as its login, have no span."""
        name, collection = event.command_name, event.command.get(event.command_name)
        if not isinstance(collection, str) or not trace.get_current_span().is_recording():
            return
        attributes = {
            "db.system.name": "mongodb",
            "db.namespace": event.database_name,
            "db.operation.name": name,
            "db.collection.name": collection,
        }
        self._open_spans[event.request_id] = tracing.tracer.start_span(
            f"{name} {collection}", kind=SpanKind.CLIENT, attributes=attributes
        )

    @override
    def succeeded(self, event: CommandSucceededEvent) -> None:
        """End the span."""
        if (span := self._open_spans.pop(event.request_id, None)) is not None:
            span.end()

    @override
    def failed(self, event: CommandFailedEvent) -> None:
        """End the span with an error."""
        if (span := self._open_spans.pop(event.request_id, None)) is not None:
            tracing.record_error(span, str(event.failure.get("codeName", "CommandFailed")))
            span.end()


def connect(url: str) -> tuple[AsyncMongoClient[Document], AsyncDatabase[Document]]:
    """Return a client and the database of the URL's path. The client connects on the first command.

    A write is acknowledged when a majority of the servers has it in its journal.
    """
    client: AsyncMongoClient[Document] = AsyncMongoClient(
        url,
        tz_aware=True,
        w="majority",
        serverSelectionTimeoutMS=2000,
        connectTimeoutMS=2000,
        timeoutMS=4000,
        maxPoolSize=16,
        event_listeners=[_SpanListener()],
    )
    return client, client.get_default_database()


@contextmanager
def map_unavailable() -> Iterator[None]:
    """Convert errors of MongoDB. Raises ApiError: UPSTREAM_UNAVAILABLE."""
    try:
        yield
    except PyMongoError as error:
        raise ApiError(Reason.UPSTREAM_UNAVAILABLE, "The document store is unavailable.", retry_after=2) from error
