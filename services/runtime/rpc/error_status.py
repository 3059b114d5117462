"""Conversion of ApiError to gRPC status and back.

Reason, field errors, headers and members are sent as google.rpc.Status in the trailing metadata (richer error model of
gRPC).
"""

import typing

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError, Message
from google.protobuf.struct_pb2 import Struct
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from generated import mesh
from generated.problems import PROBLEMS, Reason
from services.runtime.core.errors import ApiError, FieldError

ERROR_DOMAIN = mesh.NAME
"""Domain of ErrorInfo that identifies reasons of this contract."""

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


def build_status(api_error: ApiError) -> grpc.Status:
    """Return the status from whose trailing metadata the caller's stub raises the same error."""
    details: list[Message] = [ErrorInfo(reason=api_error.reason, domain=ERROR_DOMAIN, metadata=dict(api_error.headers))]
    if api_error.errors:
        violations = [
            BadRequest.FieldViolation(field=error.field, description=error.message) for error in api_error.errors
        ]
        details.append(BadRequest(field_violations=violations))
    if api_error.members:
        members = Struct()
        members.update(dict(api_error.members))
        details.append(members)
    if api_error.retry_after is not None:
        details.append(RetryInfo(retry_delay=Duration(seconds=api_error.retry_after)))
    code = grpc.StatusCode[PROBLEMS[api_error.reason].grpc]
    message = Status(code=code.value[0], message=api_error.detail)
    for detail in details:
        message.details.add().Pack(detail)
    status: grpc.Status = rpc_status.to_status(message)
    return status


def parse_call_error(call_error: grpc.aio.AioRpcError) -> ApiError:
    """Return the error of a failed call. The message of a status that no servicer has sent is dropped."""
    if api_error := _parse_status(call_error):
        return api_error
    reason = DEFAULT_REASON_BY_CODE.get(call_error.code(), Reason.UPSTREAM_ERROR)
    return ApiError(reason, retry_after=UNAVAILABLE_RETRY_AFTER_S if reason is Reason.UPSTREAM_UNAVAILABLE else None)


def _parse_status(call_error: grpc.aio.AioRpcError) -> ApiError | None:
    """Return the error in the trailing metadata, or None when it is absent or invalid or has an unknown reason."""
    info, bad_request, retry, members = ErrorInfo(), BadRequest(), RetryInfo(), Struct()
    try:
        status = rpc_status.from_call(call_error)
        if status is None:
            return None
        unpacked = [_unpack(detail, (info, bad_request, retry, members)) for detail in status.details]
    except (DecodeError, ValueError):  # ValueError: the details have another code or message than the call
        return None
    if info.domain != ERROR_DOMAIN or info.reason not in Reason:
        return None
    return ApiError(
        Reason(info.reason),
        status.message,
        errors=tuple(FieldError(violation.field, violation.description) for violation in bad_request.field_violations),
        retry_after=retry.retry_delay.seconds if retry in unpacked else None,
        headers=dict(info.metadata),
        members=_convert_integers(MessageToDict(members)),
    )


def _convert_integers(value: typing.Any) -> typing.Any:
    """Return the value with integers, which a Struct contains as floating-point numbers."""
    if isinstance(value, dict):
        return {name: _convert_integers(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_convert_integers(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _unpack(detail: Any, targets: tuple[Message, ...]) -> Message | None:
    """Unpack `detail` into the target of its type and return that target, or None when no target matches."""
    return next((target for target in targets if detail.Unpack(target)), None)
