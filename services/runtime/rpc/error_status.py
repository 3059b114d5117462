"""Refusals as gRPC statuses, and back. The rich part is google.rpc.Status, as grpc-status-details-bin carries it."""

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
"""Tells our reasons from those of anybody else's ErrorInfo."""

DETAILS_KEY = "grpc-status-details-bin"

DEFAULT_REASON_BY_CODE = {
    grpc.StatusCode.UNAVAILABLE: Reason.UPSTREAM_UNAVAILABLE,
    # A server that stops cancels what its grace period did not suffice for.
    grpc.StatusCode.CANCELLED: Reason.UPSTREAM_UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED: Reason.UPSTREAM_TIMEOUT,
    # The callee's sidecar found the token invalid, mostly because it expired on the way.
    grpc.StatusCode.UNAUTHENTICATED: Reason.UNAUTHENTICATED,
}
"""What a status means that did not come from a servicer of ours but from a sidecar or from gRPC itself."""

UNAVAILABLE_RETRY_AFTER_S = 1


def get_status_code(api_error: ApiError) -> grpc.StatusCode:
    """The canonical code of the refusal's reason."""
    return grpc.StatusCode[PROBLEMS[api_error.reason].grpc]


def build_trailers(api_error: ApiError) -> tuple[tuple[str, bytes]]:
    """The trailing metadata that lets the caller's stub raise the same refusal."""
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
    """What a failed call means to the caller. Words that did not come from a servicer of ours are not passed on."""
    trailers = call_error.trailing_metadata() or grpc.aio.Metadata()
    details = trailers.get(DETAILS_KEY)
    if isinstance(details, bytes) and (refusal := _parse_details(details)):
        return refusal
    reason = DEFAULT_REASON_BY_CODE.get(call_error.code(), Reason.UPSTREAM_ERROR)
    return ApiError(reason, retry_after=UNAVAILABLE_RETRY_AFTER_S if reason is Reason.UPSTREAM_UNAVAILABLE else None)


def _parse_details(details: bytes) -> ApiError | None:
    """The refusal in a serialized google.rpc.Status; None where there is none, or a reason that we do not know yet."""
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
        errors=tuple(FieldError(found.field, found.description) for found in bad_request.field_violations),
        retry_after=retry.retry_delay.seconds if retry in unpacked else None,
        headers=dict(info.metadata),
    )


def _unpack(detail: Any, targets: tuple[Message, ...]) -> Message | None:
    """Fills the target that `detail` is for, and gives it back."""
    return next((target for target in targets if detail.Unpack(target)), None)
