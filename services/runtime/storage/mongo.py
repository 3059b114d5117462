"""The document store, by pymongo's asyncio client."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

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
    """A span around each command that a recorded span asks for; what documents say stays out of it."""

    def __init__(self) -> None:
        self._open_spans: dict[int, Span] = {}

    def started(self, event: CommandStartedEvent) -> None:
        """A command leaves."""
        if not trace.get_current_span().is_recording():
            return
        name, collection = event.command_name, str(event.command.get(event.command_name))
        about = {
            "db.system.name": "mongodb",
            "db.namespace": event.database_name,
            "db.operation.name": name,
            "db.collection.name": collection,
        }
        self._open_spans[event.request_id] = tracing.tracer.start_span(
            f"{name} {collection}", kind=SpanKind.CLIENT, attributes=about
        )

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """It was answered."""
        if (span := self._open_spans.pop(event.request_id, None)) is not None:
            span.end()

    def failed(self, event: CommandFailedEvent) -> None:
        """It was refused, or lost."""
        if (span := self._open_spans.pop(event.request_id, None)) is not None:
            tracing.record_error(span, str(event.failure.get("codeName", "CommandFailed")))
            span.end()


def connect(url: str) -> tuple[AsyncMongoClient[Document], AsyncDatabase[Document]]:
    """A client, and the database that the URL's path names. Connections are made when they are needed."""
    client: AsyncMongoClient[Document] = AsyncMongoClient(
        url,
        tz_aware=True,
        serverSelectionTimeoutMS=2000,
        connectTimeoutMS=2000,
        timeoutMS=4000,
        maxPoolSize=16,
        event_listeners=[_SpanListener()],
    )
    return client, client[urlsplit(url).path.lstrip("/")]


@contextmanager
def map_unavailable() -> Iterator[None]:
    """Refuses UPSTREAM_UNAVAILABLE when the store is away or fails."""
    try:
        yield
    except PyMongoError as error:
        raise ApiError(Reason.UPSTREAM_UNAVAILABLE, "The document store is away.", retry_after=2) from error
