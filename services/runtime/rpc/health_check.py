"""`python -m services.runtime.rpc.health_check [SOCKET]`: exit code 0 when the service on a unix socket says that it serves."""

import os
import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

TIMEOUT_S = 2.0


def is_serving(target: str, timeout: float = TIMEOUT_S) -> bool:
    """What a service says of itself by gRPC's health protocol, at `unix:PATH` or `HOST:PORT`.

    False when nobody answers within the time, in seconds.
    """
    with grpc.insecure_channel(target) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=timeout)  # type: ignore[attr-defined]
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def main() -> int:
    """The socket as the service itself is told it: the gateway's own speaks HTTP, so it has another for this."""
    told = os.environ.get("HEALTH_SOCKET") or os.environ.get("SERVICE_SOCKET")
    socket = sys.argv[1] if len(sys.argv) > 1 else told
    if socket is None:
        print("which socket? say it, or set HEALTH_SOCKET or SERVICE_SOCKET", file=sys.stderr)
        return 2
    return 0 if is_serving(f"unix:{socket}") else 1


if __name__ == "__main__":
    sys.exit(main())
