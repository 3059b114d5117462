"""gRPC health check of a service on a unix socket.

`python -m services.runtime.rpc.health_check [SOCKET]` exits with code 0 when the service is serving.
"""

import os
import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

TIMEOUT_S = 2.0
COMMAND_TIMEOUT_S = 8.0
"""Timeout of the command. Container engines end it after 10 s; a service that is slow under load is not unhealthy."""


def is_serving(target: str, timeout: float = TIMEOUT_S) -> bool:
    """Return whether the service at `unix:PATH` or `HOST:PORT` reports SERVING within the timeout in seconds."""
    with grpc.insecure_channel(target) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            response = stub.Check(health_pb2.HealthCheckRequest(), timeout=timeout)  # type: ignore[attr-defined]
        except grpc.RpcError:
            return False
    return bool(response.status == health_pb2.HealthCheckResponse.SERVING)


def main() -> int:
    """Check the socket of the command line, HEALTH_SOCKET or SERVICE_SOCKET, and return the exit code.

    The gateway's service socket serves HTTP, so it has a separate health socket.
    """
    default_socket = os.environ.get("HEALTH_SOCKET") or os.environ.get("SERVICE_SOCKET")
    socket = sys.argv[1] if len(sys.argv) > 1 else default_socket
    if socket is None:
        print("no socket: pass SOCKET or set HEALTH_SOCKET or SERVICE_SOCKET", file=sys.stderr)
        return 2
    return 0 if is_serving(f"unix:{socket}", COMMAND_TIMEOUT_S) else 1


if __name__ == "__main__":
    sys.exit(main())
