"""Sidecar and endpoint for operators under malformed and unfinished gRPC calls."""

import json
import socket
import time
from collections.abc import Callable, Iterator

import h2.config
import h2.connection
import h2.events
import httpx
import pytest

from tests.envoy_test_mesh import MeshClient, build_bearer_headers, running_test_mesh

PAYMENT_CALLBACK = "/delivery.orders.v1.OrdersService/HandlePaymentCallback"
WATCH_ORDER = "/delivery.orders.v1.OrdersService/WatchOrder"
INVALID_HEADERS = [
    {"grpc-timeout": "abc"},
    {"grpc-timeout": "123456789S"},
    {"grpc-timeout": "1"},
    {"grpc-timeout": ""},
    {"grpc-timeout": "-1S"},
    {"grpc-encoding": "unknown"},
]
"""Headers of calls that the sidecar rejects."""
UNREADABLE_HEADERS = [{"grpc-accept-encoding": "\x7f"}, {"lb-token": "x" * 20_000}]
"""Headers of calls that the sidecar resets."""
REMOVED_HEADERS = [
    {"x-data-bin": "!!!"},
    {"grpc-trace-bin": "!"},
    {"grpc-tags-bin": "a"},
    {"grpc-previous-rpc-attempts": "x"},
    {"grpc-retry-pushback-ms": "x"},
    {"grpc-status": "x"},
]
"""Headers that the sidecar removes before it forwards a call."""
OTHER_HEADERS = [{"content-type": "text/plain"}]
"""Headers that no hop parses."""
MALFORMED_HEADERS = [*INVALID_HEADERS, *UNREADABLE_HEADERS, *REMOVED_HEADERS, *OTHER_HEADERS]


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeshClient]:
    with running_test_mesh(tmp_path_factory.mktemp("mesh")) as client:
        yield client


def call_unary(mesh: MeshClient, headers: dict[str, str]) -> httpx.Response:
    """Call a method whose app receives each call on a connection of its own."""
    return mesh.call_ingress(PAYMENT_CALLBACK, "gateway", headers=headers)


def call_stream(mesh: MeshClient, headers: dict[str, str]) -> httpx.Response:
    """Call a method whose calls share one HTTP/2 connection from the sidecar to the app."""
    return mesh.call_ingress(WATCH_ORDER, "gateway", headers=build_bearer_headers() | headers)


def call_operators_port(mesh: MeshClient, headers: dict[str, str]) -> httpx.Response:
    """Call the stream through the endpoint for operators, with headers that a gRPC client would not send."""
    grpc_headers = {"host": "orders", "content-type": "application/grpc", "te": "trailers"}
    with httpx.Client(http1=False, http2=True, verify=mesh.create_ssl_context(), trust_env=False) as client:
        return client.post(
            mesh.get_url("OPS_PORT") + WATCH_ORDER,
            headers=grpc_headers | build_bearer_headers(role="admin") | headers,
            content=b"\0" * 5,
        )


def is_answered(response: httpx.Response) -> bool:
    """Return whether the app answered the call."""
    return response.headers.get("grpc-status", "0") == "0" and b"user-agent" in response.content


def assert_handled(response: httpx.Response | None, headers: dict[str, str]) -> None:
    """Assert that a malformed call is rejected, or forwarded without its header. A call that is reset has no response.

    An Envoy in front of the sidecar responds to a call that the sidecar resets with UNAVAILABLE, which is 14.
    """
    (name,) = headers
    if headers in UNREADABLE_HEADERS:
        assert response is None or response.headers["grpc-status"] == "14"
        return
    assert response is not None
    if headers in INVALID_HEADERS:
        assert (response.headers["grpc-status"], response.headers["grpc-message"]) == ("13", f"{name} is malformed")
        assert not response.content
    else:
        assert is_answered(response), response.headers
        assert headers in OTHER_HEADERS or name not in json.loads(response.content[5:])


@pytest.mark.parametrize("headers", MALFORMED_HEADERS, ids=lambda headers: "=".join(next(iter(headers.items())))[:40])
@pytest.mark.parametrize("call", [call_unary, call_stream, call_operators_port])
def test_malformed_call_does_not_affect_other_calls(
    mesh: MeshClient, call: Callable[[MeshClient, dict[str, str]], httpx.Response], headers: dict[str, str]
) -> None:
    for index in range(3):
        values = {f"x-value-{number}": f"{index} of {list(headers)}" for number in range(5)}
        try:
            malformed = call(mesh, values | headers)
        except (httpx.RemoteProtocolError, httpx.ReadError):
            malformed = None  # the connection of the caller is closed, or the stream reset
        assert_handled(malformed, headers)
        for other in {call, call_stream}:
            response = other(mesh, values)
            assert is_answered(response), response.headers
            assert values.items() <= json.loads(response.content[5:]).items()


def start_call(mesh: MeshClient, path: str) -> tuple[str, float]:
    """Send only the headers of a call, and return the gRPC status of its response and the duration in seconds."""
    context = mesh.create_ssl_context()
    context.check_hostname = False  # the certificate contains a SPIFFE id instead of a host name
    context.load_cert_chain(mesh.folder / "pki/gateway.pem", mesh.folder / "pki/gateway.key")
    context.set_alpn_protocols(["h2"])
    connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding=None))
    address = ("127.0.0.1", int(mesh.settings["ORDERS_INGRESS_PORT"]))
    started = time.monotonic()
    with context.wrap_socket(socket.create_connection(address, timeout=10)) as channel:
        connection.initiate_connection()
        pseudo_headers = [(":method", "POST"), (":scheme", "https"), (":authority", "orders"), (":path", path)]
        connection.send_headers(1, [*pseudo_headers, ("content-type", "application/grpc"), ("te", "trailers")])
        channel.sendall(connection.data_to_send())
        while data := channel.recv(65_536):
            for event in connection.receive_data(data):
                if isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
                    headers = dict(event.headers or [])
                    if b"grpc-status" in headers:
                        return headers[b"grpc-status"].decode(), time.monotonic() - started
    raise AssertionError("the connection was closed without a response")


def test_unary_call_without_message_ends_after_its_timeout(mesh: MeshClient) -> None:
    """The deadline of the contract is 5 seconds; DEADLINE_EXCEEDED is 4."""
    status, duration = start_call(mesh, PAYMENT_CALLBACK)
    assert status == "4"
    assert 4 < duration < 8
