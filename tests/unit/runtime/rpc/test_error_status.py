"""ApiError as gRPC status: round trip, and status of other senders."""

import grpc
import grpc.aio
import pytest
from google.protobuf.any_pb2 import Any
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from generated.problems import Reason
from services.runtime.core.errors import ApiError, FieldError
from services.runtime.rpc import error_status

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


def create_call_error(code: grpc.StatusCode, details: str, *trailers: tuple[str, str | bytes]) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailers), details)


def create_trailer(status: Status) -> tuple[str, bytes]:
    return "grpc-status-details-bin", status.SerializeToString()


@pytest.mark.parametrize(
    "sent",
    [
        ApiError(Reason.ORDER_NOT_FOUND),
        ApiError(Reason.INVALID_REQUEST, "Zwölf", errors=[FieldError("page_size", "is too large")]),
        ApiError(Reason.TOTAL_MISMATCH, members={"total_amount": 2**53 - 1, "currency": "USD"}),
        ApiError(Reason.PRODUCT_UNAVAILABLE, members={"product_ids": [1, 7]}),
        ApiError(Reason.UPSTREAM_UNAVAILABLE, retry_after=7),
        ApiError(Reason.TOO_MANY_REQUESTS, retry_after=0, headers={"x-limit": "5"}),
    ],
    ids=lambda error: error.reason.name,
)
def test_error_is_unchanged_by_round_trip(sent: ApiError) -> None:
    status = error_status.build_status(sent)
    received = error_status.parse_call_error(create_call_error(status.code, status.details, *status.trailing_metadata))
    assert received == ApiError(
        sent.reason,
        sent.detail,
        errors=tuple(sent.errors),
        retry_after=sent.retry_after,
        headers=sent.headers,
        members=sent.members,
    )


@pytest.mark.parametrize("trailers", [(), (("x-other", "1"),), (("grpc-status-details-bin", b"\xff"),)])
def test_status_without_details_has_default_reason(trailers: tuple[tuple[str, str | bytes], ...]) -> None:
    received = error_status.parse_call_error(create_call_error(UNAVAILABLE, "connection refused", *trailers))
    assert received == ApiError(Reason.UPSTREAM_UNAVAILABLE, retry_after=error_status.UNAVAILABLE_RETRY_AFTER_S)


def test_details_that_differ_from_call_are_ignored() -> None:
    sent = error_status.build_status(ApiError(Reason.ORDER_NOT_FOUND))
    for code, details in ((UNAVAILABLE, sent.details), (sent.code, "other")):
        received = error_status.parse_call_error(create_call_error(code, details, *sent.trailing_metadata))
        assert received.reason in (Reason.UPSTREAM_UNAVAILABLE, Reason.UPSTREAM_ERROR)


@pytest.mark.parametrize(
    "info",
    [
        ErrorInfo(reason="ORDER_NOT_FOUND", domain="googleapis.com"),
        ErrorInfo(reason="NO_SUCH_REASON", domain=error_status.ERROR_DOMAIN),
    ],
)
def test_error_of_other_domain_or_unknown_reason_is_ignored(info: ErrorInfo) -> None:
    detail = Any()
    detail.Pack(info)
    trailer = create_trailer(Status(code=UNAVAILABLE.value[0], message="secret", details=[detail]))
    received = error_status.parse_call_error(create_call_error(UNAVAILABLE, "secret", trailer))
    assert (received.reason, "secret" in received.detail) == (Reason.UPSTREAM_UNAVAILABLE, False)
