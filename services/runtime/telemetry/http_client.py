"""Attributes and durations of HTTP requests to other systems, according to OpenTelemetry's semantic conventions."""

import threading
from functools import cache
from types import TracebackType
from typing import NamedTuple, Self

import httpx
from opentelemetry.trace import Span

from services.runtime.telemetry.histograms import CLOCK, Attributes, OperationHistogram
from services.runtime.telemetry.metrics import OTHER, BoundedLabel, create_duration_histogram

MAX_SERVERS = 64
"""Number of servers that the metric names, since users may register systems with any host."""

_DEFAULT_PORTS = {"http": 80, "https": 443}
_servers = BoundedLabel(MAX_SERVERS)
_lock = threading.Lock()  # SDKs send their requests in threads


class Outcome(NamedTuple):
    """Outcome of a request. A response that is not read completely has a status and an error type."""

    status: int | None
    error_type: str | None


def _describe_outcome(outcome: Outcome) -> Attributes:
    status, error_type = outcome
    if status is not None and status >= 400:
        error_type = error_type or str(status)
    return {
        **({"http.response.status_code": status} if status is not None else {}),
        **({"error.type": error_type} if error_type is not None else {}),
    }


DURATION = create_duration_histogram(
    "http.client.request.duration",
    "Duration of HTTP requests to other systems, by server and response status.",
    _describe_outcome,
)


@cache
def _bind_duration(method: str, host: str, port: int) -> OperationHistogram[Outcome]:
    return DURATION.bind({"http.request.method": method, "server.address": host, "server.port": port})


def _get_port(url: httpx.URL) -> int:
    return url.port or _DEFAULT_PORTS.get(url.scheme, 0)


def build_attributes(method: str, url: httpx.URL, *, redacts_path: bool = False) -> dict[str, str | int]:
    """Return the attributes of a client span. The URL is recorded without credentials, query and fragment.

    `redacts_path` is for paths that contain identifiers, such as device tokens.
    """
    redacted = url.copy_with(userinfo=b"", query=None, fragment=None)
    return {
        "http.request.method": method,
        "server.address": url.host,
        "server.port": _get_port(url),
        "url.full": str(redacted.copy_with(path="/REDACTED") if redacts_path else redacted),
    }


class Measurement:
    """Request in progress, whose duration is recorded at the end of the block. The caller sets `status`.

    With a span, the request's attributes are recorded there too, with a redacted path. The span of an SDK call with
    several requests has those of the last one.
    """

    __slots__ = ("_method", "_span", "_started_at", "_url", "status")

    def __init__(self, method: str, url: httpx.URL, span: Span | None = None) -> None:
        self._method = method
        self._url = url
        self._span = span
        self.status: int | None = None

    def __enter__(self) -> Self:
        self._started_at = CLOCK()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        seconds = CLOCK() - self._started_at
        host, port = self._url.host, _get_port(self._url)
        if _servers.normalise(f"{host}:{port}") == OTHER:
            host, port = OTHER, 0
        with _lock:
            outcome = Outcome(self.status, None if kind is None else kind.__name__)
            _bind_duration(self._method, host, port).record(outcome, seconds)
        if self._span is not None and self._span.is_recording():
            self._span.set_attributes(build_attributes(self._method, self._url, redacts_path=True))
            if self.status is not None:
                self._span.set_attribute("http.response.status_code", self.status)
