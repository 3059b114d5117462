"""gRPC channel to another service through the egress socket of the caller's sidecar."""

from pathlib import Path

import grpc.aio


def open_channel(egress_socket: Path, service: str) -> grpc.aio.Channel:
    """Return a channel to `service` ("orders"). The sidecar routes by the `:authority` header."""
    return grpc.aio.insecure_channel(
        f"unix:{egress_socket}",
        options=[
            ("grpc.default_authority", service),
            # The sidecar retries according to `attempts` in the contract. Retries on two layers would multiply.
            ("grpc.enable_retries", 0),
            ("grpc.enable_http_proxy", 0),
        ],
    )
