"""Spans and durations of database operations, according to OpenTelemetry's semantic conventions for databases."""

from contextlib import AbstractContextManager
from types import TracebackType
from typing import NamedTuple

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind

from services.runtime.telemetry import tracing
from services.runtime.telemetry.histograms import CLOCK, DATABASE_BUCKET_BOUNDS_S, Attributes
from services.runtime.telemetry.metrics import create_duration_histogram


class Failure(NamedTuple):
    """Error of an operation. `status_code` is the error code of the database; the empty string stands for none."""

    error_type: str
    status_code: str = ""

    @property
    def attributes(self) -> Attributes:
        """Attributes of the failed operation."""
        status = {"db.response.status_code": self.status_code} if self.status_code else {}
        return {"error.type": self.error_type, **status}


def _describe_failure(failure: Failure | None) -> Attributes:
    return {} if failure is None else failure.attributes


DURATION = create_duration_histogram(
    "db.client.operation.duration",
    "Duration of database operations, by operation and collection.",
    _describe_failure,
    DATABASE_BUCKET_BOUNDS_S,
)


class DatabaseOperation:
    """Kind of operation, such as "UPDATE loans", with its attributes. It is created once and measured many times.

    `collection` is the name of a table, or of a group of keys, and `namespace` that of the database; the empty string
    stands for none. `name` is that of the spans, by default operation and collection.
    """

    __slots__ = ("_histogram", "attributes", "name")

    def __init__(self, system: str, namespace: str, operation: str, collection: str, name: str = "") -> None:
        self.name = name or f"{operation} {collection}".strip()
        attributes = {
            "db.system.name": system,
            "db.namespace": namespace,
            "db.operation.name": operation,
            "db.collection.name": collection,
        }
        self.attributes: dict[str, str | int] = {name: value for name, value in attributes.items() if value}
        self._histogram = DURATION.bind(self.attributes.copy())
        self.attributes["db.query.summary"] = self.name

    def measure(self) -> "Measurement":
        """Return a context manager that measures its block, in a span if the current span is recorded."""
        return Measurement(self)

    def record(self, failure: Failure | None, seconds: float) -> None:
        """Record the duration of an operation that was measured otherwise."""
        self._histogram.record(failure, seconds)


class Measurement:
    """Operation in progress. A class, because a generator would double the cost of an operation without a span."""

    __slots__ = ("_operation", "_span", "_span_context", "_started_at")

    def __init__(self, operation: DatabaseOperation) -> None:
        self._operation = operation
        self._span_context: AbstractContextManager[Span] | None = None

    def __enter__(self) -> None:
        if trace.get_current_span().is_recording():
            operation = self._operation
            self._span_context = tracing.start_span(operation.name, SpanKind.CLIENT, None, operation.attributes)
            self._span = self._span_context.__enter__()
        self._started_at = CLOCK()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        seconds = CLOCK() - self._started_at
        # psycopg reports the code of a server error as `sqlstate`.
        failure = None if error is None else Failure(type(error).__name__, getattr(error, "sqlstate", None) or "")
        self._operation.record(failure, seconds)
        if self._span_context is not None:
            if failure is not None and failure.status_code:
                self._span.set_attribute("db.response.status_code", failure.status_code)
            self._span_context.__exit__(kind, error, traceback)
