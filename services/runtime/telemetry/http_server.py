"""Attributes and duration of HTTP requests to a service, according to OpenTelemetry's semantic conventions for HTTP."""

from functools import cache

from services.runtime.telemetry.histograms import Attributes, OperationHistogram
from services.runtime.telemetry.metrics import OTHER, create_duration_histogram

METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})
"""Methods that telemetry names; clients can send any other text."""

OTHER_METHOD = "_OTHER"
"""Value of `http.request.method` for all other methods."""

NO_RESPONSE = 0
"""Outcome of a request whose client disconnects before the response starts."""


def _describe_status(status: int) -> Attributes:
    """Return the attributes of a response. A request without a response has no status, only an error type."""
    if status == NO_RESPONSE:
        return {"error.type": "client_disconnected"}
    return {"http.response.status_code": status, **({"error.type": str(status)} if status >= 500 else {})}


DURATION = create_duration_histogram(
    "http.server.request.duration", "Duration of REST requests, by operation and response status.", _describe_status
)


def normalise_method(method: str) -> str:
    """Return the method as the value of `http.request.method`."""
    return method if method in METHODS else OTHER_METHOD


def format_span_name(method: str) -> str:
    """Return the name of a server span until its operation is known."""
    return "HTTP" if method == OTHER_METHOD else method


@cache
def build_attributes(method: str, scheme: str) -> Attributes:
    """Return the attributes of a request that are known at its start. `method` is normalised."""
    return {"http.request.method": method, "url.scheme": scheme}


@cache
def build_route_attributes(route: str) -> Attributes:
    """Return the span attributes of a route, with the route in place of the path, which may hold personal data.

    The path of a request that matches no operation is redacted.
    """
    return {"http.route": route, "url.path": route} if route else {"url.path": "REDACTED"}


@cache
def bind_duration(operation: str, route: str, method: str, scheme: str) -> OperationHistogram[int]:
    """Return the histogram of an operation. A request that matches no operation has an empty `route`."""
    return DURATION.bind(
        {"operation": operation, **build_attributes(method, scheme), **({"http.route": route} if route else {})}
    )


UNMATCHED_OPERATION = {"operation_id": OTHER, "http_route": ""}
"""Routing context of static documents and of requests that match no operation."""
