"""One Envoy with the RPC listeners of both sidecars of a call to the sample service: egress and ingress, without TLS.

Calls over HTTP/1.1 pass egress, gRPC and ingress to the HTTP/1.1 socket of the service.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio
import yaml

from codegen.envoy import grpc_bridge
from codegen.envoy.common import (
    APP_HTTP2_OPTIONS,
    Config,
    build_bootstrap,
    build_cluster,
    build_http2_options,
    build_http_connection_manager,
    build_listener,
    build_tcp_address,
    build_unix_address,
)
from codegen.envoy.grpc_requests import limit_duration
from codegen.envoy.sidecar import build_egress_route, build_stream_route_options, format_timeout
from codegen.protobuf import Method
from services.runtime.rpc.channel import Channel
from tests import sample
from tests.envoys import running_envoy_process
from tests.free_ports import find_free_ports

SERVICE = "sample"
GRPC_SERVICE = "sample-grpc"
"""Authority of the gRPC socket of the service, without the ingress; stands for a service in another language."""


type AnyChannel = Channel | grpc.aio.Channel


@dataclass(frozen=True)
class SidecarHop:
    """Sockets of a running hop."""

    egress_socket: Path
    ingress_socket: Path
    service_socket: Path
    """gRPC socket on which the test serves."""


def open_grpc_channel(socket_path: Path) -> grpc.aio.Channel:
    """Return a channel to a socket without sidecars. It connects at once, also after a failed connection of another."""
    return grpc.aio.insecure_channel(f"unix:{socket_path}", options=[("grpc.use_local_subchannel_pool", 1)])


@asynccontextmanager
async def open_channel(hop: SidecarHop, transport: str) -> AsyncIterator[AnyChannel]:
    """Open a channel to the service.

    Transports are "grpc" without sidecars, "sidecars", and "egress" without the ingress, to the gRPC socket.
    """
    if transport == "grpc":
        channel: AnyChannel = open_grpc_channel(hop.service_socket)
    else:
        channel = Channel(hop.egress_socket, SERVICE if transport == "sidecars" else GRPC_SERVICE)
    try:
        yield channel
    finally:
        await channel.close()


def list_methods() -> list[Method]:
    """Return the methods of the sample contract."""
    return [method for service in sample.load_contracts().protos.services for method in service.methods]


def _build_ingress_route(method: Method) -> Config:
    return {
        "match": {"path": method.path},
        "route": {
            "cluster": grpc_bridge.get_app_cluster(method),
            **limit_duration(format_timeout(method)),
            **build_stream_route_options(method),
        },
        "typed_per_filter_config": grpc_bridge.enable_bridge(method),
    }


def _build_hop(admin_port: int) -> Config:
    """Return the bootstrap; its sockets have placeholders for the folder."""
    methods = list_methods()
    hosts = [
        {"name": name, "domains": [name], "routes": [build_egress_route(name, method) for method in methods]}
        for name in (SERVICE, GRPC_SERVICE)
    ]
    egress = build_http_connection_manager(
        "egress",
        [],
        {"virtual_hosts": hosts, **grpc_bridge.remove_content_length()},
        **grpc_bridge.build_egress_options(),
    )
    routes = [_build_ingress_route(method) for method in methods]
    ingress = build_http_connection_manager(
        "ingress",
        [grpc_bridge.build_bridge_filter()],
        {"virtual_hosts": [{"name": "app", "domains": ["*"], "routes": routes}]},
        codec_type="HTTP2",
    )
    app_options: Any = build_http2_options(**APP_HTTP2_OPTIONS)
    clusters = [
        build_cluster(SERVICE, build_unix_address("ingress"), **build_http2_options()),
        build_cluster(GRPC_SERVICE, build_unix_address(SERVICE), **app_options),
        build_cluster("app", build_unix_address(SERVICE), **app_options),
        grpc_bridge.build_unary_cluster(SERVICE),
    ]
    listeners = [
        build_listener("egress", build_unix_address("egress"), egress),
        build_listener("ingress", build_unix_address("ingress"), ingress),
    ]
    return build_bootstrap("hop", listeners, clusters, build_tcp_address("127.0.0.1", str(admin_port)))


@contextmanager
def running_sidecar_hop(folder: Path) -> Iterator[SidecarHop]:
    """Run the Envoy, in front of the sockets on which a test serves the sample service."""
    (admin_port,) = find_free_ports(1)
    text = yaml.dump(_build_hop(admin_port)).replace("${RUN_DIR}", str(folder)).replace("${ACCESS_LOG_PERCENT}", "0")
    bootstrap = folder / "hop.yaml"
    bootstrap.write_text(text.replace(f"'{admin_port}'", str(admin_port)), encoding="utf-8")
    with running_envoy_process(bootstrap, f"http://127.0.0.1:{admin_port}", folder / "hop.log"):
        yield SidecarHop(folder / "egress.sock", folder / "ingress.sock", folder / f"{SERVICE}.sock")
