"""Health check over HTTP/1.1, which leaves the threads of the gRPC server asleep while nothing else calls it."""

from collections.abc import Mapping
from typing import Any, NoReturn, cast

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health, health_pb2

from services.runtime.sidecar.grpc_messages import StatusError
from services.runtime.sidecar.unary_app import UnaryHandler

HEALTH_CHECK_PATH = "/grpc.health.v1.Health/Check"


class _Context:
    """The part of a gRPC context that health checks use."""

    async def abort(self, code: grpc.StatusCode, details: str = "") -> NoReturn:
        raise StatusError(code, details)


def build_health_handler(servicer: health.aio.HealthServicer) -> UnaryHandler:
    """Return the handler of health checks, which responds as the gRPC server does."""

    async def check(data: bytes, _metadata: Mapping[str, str], _timeout_s: float | None) -> bytes:
        try:
            request = health_pb2.HealthCheckRequest.FromString(data)
        except DecodeError as error:
            raise StatusError(grpc.StatusCode.INTERNAL, "malformed request") from error
        response: health_pb2.HealthCheckResponse = await servicer.Check(request, cast(Any, _Context()))
        return response.SerializeToString()

    return check
