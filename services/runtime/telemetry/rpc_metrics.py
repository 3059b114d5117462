"""Durations of RPCs, according to OpenTelemetry's semantic conventions for RPC."""

from services.runtime.telemetry.histograms import Attributes, DurationHistogram, OperationHistogram
from services.runtime.telemetry.metrics import create_duration_histogram
from services.runtime.telemetry.rpc_spans import SERVER_ERROR_CODES, build_attributes

_SERVER_ERROR_CODE_NAMES = frozenset(code.name for code in SERVER_ERROR_CODES)


def _describe_server_status(code: str) -> Attributes:
    return _describe_status(code, is_error=code in _SERVER_ERROR_CODE_NAMES)


def _describe_client_status(code: str) -> Attributes:
    return _describe_status(code, is_error=code != "OK")


def _describe_status(code: str, *, is_error: bool) -> Attributes:
    return {"rpc.response.status_code": code, **({"error.type": code} if is_error else {})}


SERVER_DURATION = create_duration_histogram(
    "rpc.server.call.duration",
    "Duration of RPCs served by this service, by method and status code.",
    _describe_server_status,
)
CLIENT_DURATION = create_duration_histogram(
    "rpc.client.call.duration",
    "Duration of RPCs made by this service, by method and status code.",
    _describe_client_status,
)


def bind_duration(histogram: DurationHistogram[str], path: str) -> OperationHistogram[str]:
    """Return the histogram of a method, whose outcomes are names of status codes."""
    return histogram.bind(build_attributes(path))
