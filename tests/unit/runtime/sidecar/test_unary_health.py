"""Health check over HTTP/1.1: the responses of the gRPC health service."""

import grpc
import pytest
from grpc_health.v1 import health
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from services.runtime.sidecar.grpc_messages import StatusError
from services.runtime.sidecar.unary_health import build_health_handler

SERVICE = "sample.v1.EchoService"


@pytest.fixture
async def servicer() -> health.aio.HealthServicer:
    servicer = health.aio.HealthServicer()
    await servicer.set(SERVICE, HealthCheckResponse.SERVING)
    return servicer


async def check(servicer: health.aio.HealthServicer, data: bytes) -> HealthCheckResponse:
    return HealthCheckResponse.FromString(await build_health_handler(servicer)(data, {}, None))


@pytest.mark.parametrize("service", ["", SERVICE])
async def test_status_of_process_and_service_is_returned(servicer: health.aio.HealthServicer, service: str) -> None:
    request = HealthCheckRequest(service=service).SerializeToString()
    assert (await check(servicer, request)).status == HealthCheckResponse.SERVING
    await servicer.enter_graceful_shutdown()
    assert (await check(servicer, request)).status == HealthCheckResponse.NOT_SERVING


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (HealthCheckRequest(service="unknown").SerializeToString(), grpc.StatusCode.NOT_FOUND),
        (b"\xff", grpc.StatusCode.INTERNAL),
    ],
)
async def test_unknown_service_and_malformed_request_are_errors(
    servicer: health.aio.HealthServicer, data: bytes, code: grpc.StatusCode
) -> None:
    with pytest.raises(StatusError) as raised:
        await check(servicer, data)
    assert raised.value.code is code
