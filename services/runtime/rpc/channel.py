"""Channel to another service through the egress socket of the caller's sidecar."""

from pathlib import Path
from typing import Any

import grpc.aio

from services.runtime.sidecar.http1_client import Http1Client, UnaryCall


class Channel:
    """Channel of one service: unary calls over HTTP/1.1, which costs less CPU time, and streams over gRPC.

    The sidecar translates HTTP/1.1 to gRPC, and routes by the `:authority` header, which is the name of the service
    ("loans"). It retries according to `attempts` in the contract, therefore the channel
    does not: retries on two layers would multiply.
    """

    def __init__(self, egress_socket: Path, service: str) -> None:
        self._unary_client = Http1Client(egress_socket, service)
        self._stream_channel = grpc.aio.insecure_channel(
            f"unix:{egress_socket}",
            options=[
                ("grpc.default_authority", service),
                ("grpc.enable_retries", 0),
                ("grpc.enable_http_proxy", 0),
            ],
        )

    def unary_unary(self, path: str) -> UnaryCall:
        """Return the call of a unary method."""
        return self._unary_client.bind(path)

    def unary_stream(self, path: str) -> grpc.aio.UnaryStreamMultiCallable[Any, Any]:
        """Return the call of a method that streams responses."""
        return self._stream_channel.unary_stream(path)

    def stream_unary(self, path: str) -> grpc.aio.StreamUnaryMultiCallable[Any, Any]:
        """Return the call of a method that streams requests."""
        return self._stream_channel.stream_unary(path)

    def stream_stream(self, path: str) -> grpc.aio.StreamStreamMultiCallable[Any, Any]:
        """Return the call of a method that streams requests and responses."""
        return self._stream_channel.stream_stream(path)

    async def close(self) -> None:
        """Close all connections, and cancel the calls in progress."""
        self._unary_client.close()
        await self._stream_channel.close()
