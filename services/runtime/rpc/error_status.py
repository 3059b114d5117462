"""Conversion of ApiError to gRPC status and back.

Reason, field errors and headers are sent as google.rpc.Status in the trailer `grpc-status-details-bin`.
"""

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from generated.problems import PROBLEMS, Reason
from services.runtime.core.errors import ApiError, FieldError

ERROR_DOMAIN = "delivery"
"""Domain of ErrorInfo that identifies reasons of this contract."""

DETAILS_KEY = "grpc-status-details-bin"

DEFAULT_REASON_BY_CODE = {
    grpc.StatusCode.UNAVAILABLE: Reason.UPSTREAM_UNAVAILABLE,
    # A server that shuts down cancels calls that outlast its grace period.
    grpc.StatusCode.CANCELLED: Reason.UPSTREAM_UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED: Reason.UPSTREAM_TIMEOUT,
    # The callee's sidecar found the token invalid, mostly because it has expired in the meantime.
    grpc.StatusCode.UNAUTHENTICATED: Reason.UNAUTHENTICATED,
}
"""Reason for a status sent by a sidecar or by gRPC itself and not by a servicer."""

UNAVAILABLE_RETRY_AFTER_S = 1


def get_status_code(api_error: ApiError) -> grpc.StatusCode:
    """Return the gRPC status code of the error's reason."""
    return grpc.StatusCode[PROBLEMS[api_error.reason].grpc]


def build_trailers(api_error: ApiError) -> tuple[tuple[str, bytes]]:
    """Return the trailing metadata from which the caller's stub raises the same error."""
    details: list[Message] = [ErrorInfo(reason=api_error.reason, domain=ERROR_DOMAIN, metadata=dict(api_error.headers))]
    if api_error.errors:
        violations = [
            BadRequest.FieldViolation(field=error.field, description=error.message) for error in api_error.errors
        ]
        details.append(BadRequest(field_violations=violations))
    if api_error.retry_after is not None:
        details.append(RetryInfo(retry_delay=Duration(seconds=api_error.retry_after)))
    status = Status(code=get_status_code(api_error).value[0], message=api_error.detail)
    for detail in details:
        status.details.add().Pack(detail)
    return ((DETAILS_KEY, status.SerializeToString()),)


def parse_call_error(call_error: grpc.aio.AioRpcError) -> ApiError:
    """Return the error of a failed call. The message of a status that no servicer has sent is dropped."""
    trailers = call_error.trailing_metadata() or grpc.aio.Metadata()
    details = trailers.get(DETAILS_KEY)
    if isinstance(details, bytes) and (api_error := _parse_details(details)):
        return api_error
    reason = DEFAULT_REASON_BY_CODE.get(call_error.code(), Reason.UPSTREAM_ERROR)
    return ApiError(reason, retry_after=UNAVAILABLE_RETRY_AFTER_S if reason is Reason.UPSTREAM_UNAVAILABLE else None)


def _parse_details(details: bytes) -> ApiError | None:
    """Return the error in a serialized google.rpc.Status, or None when it contains none or an unknown reason."""
    info, bad_request, retry = ErrorInfo(), BadRequest(), RetryInfo()
    try:
        status = Status.FromString(details)
        unpacked = [_unpack(detail, (info, bad_request, retry)) for detail in status.details]
    except DecodeError:
        return None
    if info.domain != ERROR_DOMAIN or info.reason not in Reason:
        return None
    return ApiError(
        Reason(info.reason),
        status.message,
        errors=tuple(FieldError(violation.field, violation.description) for violation in bad_request.field_violations),
        retry_after=retry.retry_delay.seconds if retry in unpacked else None,
        headers=dict(info.metadata),
    )


def _unpack(detail: Any, targets: tuple[Message, ...]) -> Message | None:
    """Unpack `detail` into the target of its type and return that target, or None when no target matches."""
    return next((target for target in targets if detail.Unpack(target)), None)
