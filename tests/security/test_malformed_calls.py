"""Ingress of a sidecar under malformed and unfinished gRPC calls."""

import json
import socket
import time
from collections.abc import Iterator

import h2.config
import h2.connection
import h2.events
import httpx
import pytest

from tests.envoy_test_mesh import MeshClient, running_test_ingress

PAYMENT_CALLBACK = "/delivery.orders.v1.OrdersService/HandlePaymentCallback"
MALFORMED_HEADERS = [
    {"grpc-timeout": "abc"},
    {"grpc-timeout": "123456789S"},
    {"grpc-timeout": "1"},
    {"grpc-timeout": ""},
    {"grpc-timeout": "-1S"},
    {"x-data-bin": "!!!"},
    {"grpc-trace-bin": "!"},
    {"grpc-tags-bin": "a"},
    {"content-type": "text/plain"},
    {"grpc-encoding": "unknown"},
    {"grpc-accept-encoding": "\x7f"},
    {"grpc-previous-rpc-attempts": "x"},
    {"grpc-retry-pushback-ms": "x"},
    {"grpc-status": "x"},
    {"lb-token": "x" * 20_000},
]


@pytest.fixture(scope="module")
def ingress(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeshClient]:
    with running_test_ingress(tmp_path_factory.mktemp("ingress")) as client:
        yield client


def is_answered(response: httpx.Response) -> bool:
    """Return whether the app answered the call."""
    return response.headers.get("grpc-status", "0") == "0" and b"user-agent" in response.content


@pytest.mark.parametrize("headers", MALFORMED_HEADERS, ids=lambda headers: "=".join(next(iter(headers.items())))[:40])
def test_malformed_call_does_not_affect_other_calls(ingress: MeshClient, headers: dict[str, str]) -> None:
    """Caller and other callers share one connection from the sidecar to the app."""
    for index in range(3):
        values = {f"x-value-{number}": f"{index} of {list(headers)}" for number in range(5)}
        try:
            malformed = ingress.call_ingress(PAYMENT_CALLBACK, "gateway", headers=headers | values)
        except httpx.RemoteProtocolError:
            pass  # the sidecar closed the connection of the caller
        else:
            assert "metadata" not in malformed.headers.get("grpc-message", ""), "the app parsed the header"
        response = ingress.call_ingress(PAYMENT_CALLBACK, "gateway", headers=values)
        assert is_answered(response), response.headers
        assert values.items() <= json.loads(response.content[5:]).items()


def start_call(ingress: MeshClient, path: str) -> tuple[str, float]:
    """Send only the headers of a call, and return the gRPC status of its response and the duration in seconds."""
    context = ingress.create_ssl_context()
    context.check_hostname = False  # the certificate contains a SPIFFE id instead of a host name
    context.load_cert_chain(ingress.folder / "pki/gateway.pem", ingress.folder / "pki/gateway.key")
    context.set_alpn_protocols(["h2"])
    connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding=None))
    address = ("127.0.0.1", int(ingress.settings["ORDERS_INGRESS_PORT"]))
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


def test_unary_call_without_message_ends_after_its_timeout(ingress: MeshClient) -> None:
    """The deadline of the contract is 5 seconds; DEADLINE_EXCEEDED is 4."""
    status, duration = start_call(ingress, PAYMENT_CALLBACK)
    assert status == "4"
    assert 4 < duration < 8
