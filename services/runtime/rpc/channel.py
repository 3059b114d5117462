"""The one channel by which a service reaches another: through its own sidecar's egress socket."""

from pathlib import Path

import grpc.aio


def open_channel(egress_socket: Path, service: str) -> grpc.aio.Channel:
    """A channel to `service` ("orders"). The sidecar chooses the upstream by the :authority."""
    return grpc.aio.insecure_channel(
        f"unix:{egress_socket}",
        options=[
            ("grpc.default_authority", service),
            # The sidecar retries, as the contract's `attempts` says; two layers of retries would multiply.
            ("grpc.enable_retries", 0),
            ("grpc.enable_http_proxy", 0),
        ],
    )
