"""Requests with bodies that clients never finish: they occupy neither connections to the app nor the API."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPResponse
from pathlib import Path

import httpx
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RemoteSettingsChanged

from codegen.envoy.overload import MAX_HEAP_BYTES
from tests.envoy_test_mesh import MeshClient, running_test_edge
from tests.wait import wait_until

UNFINISHED_REQUESTS = 260
"""More than the connections of the edge to the app."""

MAX_STREAMS_PER_CONNECTION = 100
MAX_RESPONSE_S = 1.0
IDLE_CONNECTIONS = 2000
MAX_RECOVERY_S = 20.0
"""Maximum time until the edge has closed idle connections that fill its heap; usually they last for 300 s."""


@pytest.fixture
def edge_mesh(tmp_path: Path) -> Iterator[MeshClient]:
    with running_test_edge(tmp_path, RATE_LIMIT_FACTOR="10000") as client:
        yield client


class UnfinishedRequests:
    """HTTP/2 connection with requests whose bodies are announced but not sent completely."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self._connection = H2Connection(H2Configuration(client_side=True))
        self._connection.initiate_connection()
        self._flush()
        is_configured = False
        while not is_configured:
            events = self._connection.receive_data(self._socket.recv(65536))
            is_configured = any(isinstance(event, RemoteSettingsChanged) for event in events)
        self._flush()

    @property
    def max_streams(self) -> int:
        """Maximum number of streams that the server permits."""
        return self._connection.remote_settings.max_concurrent_streams

    def open(self, path: str, count: int) -> None:
        """Send the headers and the first byte of POST requests."""
        headers = {":method": "POST", ":scheme": "http", ":authority": "localhost", ":path": path}
        for _ in range(count):
            stream_id = self._connection.get_next_available_stream_id()
            self._connection.send_headers(stream_id, [*headers.items(), ("content-type", "application/json")])
            self._connection.send_data(stream_id, b"{")
        self._flush()

    def close(self) -> None:
        self._socket.close()

    def _flush(self) -> None:
        self._socket.sendall(self._connection.data_to_send())


def test_unfinished_bodies_do_not_delay_other_requests(edge_mesh: MeshClient) -> None:
    with ExitStack() as stack:
        opened = 0
        while opened < UNFINISHED_REQUESTS:
            requests = UnfinishedRequests(int(edge_mesh.settings["EDGE_PORT"]))
            stack.callback(requests.close)
            count = min(requests.max_streams, UNFINISHED_REQUESTS - opened)
            requests.open("/api/v1/sessions", count)
            opened += count
        started = time.monotonic()
        response = httpx.post(edge_mesh.get_url("EDGE_PORT") + "/api/v1/sessions", json={}, trust_env=False, timeout=5)
        assert response.status_code == 200
        assert time.monotonic() - started < MAX_RESPONSE_S
        stats = httpx.get(
            edge_mesh.get_url("GATEWAY_ADMIN_PORT") + "/stats?filter=app.upstream_cx_total", trust_env=False
        )
        assert stats.text == "cluster.app.upstream_cx_total: 1\n"


def test_connection_has_a_maximum_number_of_streams(edge_mesh: MeshClient) -> None:
    requests = UnfinishedRequests(int(edge_mesh.settings["EDGE_PORT"]))
    requests.close()
    assert requests.max_streams == MAX_STREAMS_PER_CONNECTION


def test_unfinished_request_is_answered_after_timeout(tmp_path: Path) -> None:
    headers = "Host: edge\r\nOrigin: http://localhost:5173\r\nContent-Type: application/json\r\nContent-Length: 9\r\n"
    with (
        running_test_edge(tmp_path, replacements={'"request_timeout": "30s"': '"request_timeout": "0.2s"'}) as client,
        socket.create_connection(("127.0.0.1", int(client.settings["EDGE_PORT"])), timeout=10) as connection,
    ):
        connection.sendall(f"POST /api/v1/sessions HTTP/1.1\r\n{headers}\r\n{{".encode())
        response = HTTPResponse(connection)
        response.begin()
        problem = json.loads(response.read())
    assert (response.status, problem["status"], problem["reason"]) == (408, 408, "REQUEST_TIMEOUT")
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["connection"] == "close"
    assert response.headers["access-control-allow-origin"] == "http://localhost:5173"
    assert response.headers["traceresponse"].split("-")[1] == problem["trace_id"]


def test_unfinished_tls_handshake_is_closed_after_timeout(tmp_path: Path) -> None:
    setting = '"transport_socket_connect_timeout": '
    with (
        running_test_edge(tmp_path, replacements={f'{setting}"10s"': f'{setting}"0.2s"'}) as client,
        socket.create_connection(("127.0.0.1", int(client.settings["EDGE_TLS_PORT"])), timeout=10) as connection,
    ):
        connection.sendall(b"\x16\x03\x01")
        assert connection.recv(1) == b""
        response = httpx.get(
            client.get_url("EDGE_TLS_PORT", "https") + "/docs", verify=client.create_ssl_context(), trust_env=False
        )
        assert response.status_code == 200


def is_answered(connection: socket.socket) -> bool:
    """Send a request and return whether the edge answers it with 404, which it does not when its heap is full."""
    connection.sendall(b"GET /nothing HTTP/1.1\r\nHost: edge\r\n\r\n")
    try:
        return connection.recv(4096).startswith(b"HTTP/1.1 404")
    except TimeoutError:
        return False


def test_idle_connections_of_one_client_do_not_exhaust_the_edge(tmp_path: Path) -> None:
    """This edge has a sixth of the heap, so that fewer connections fill it. Its admin interface stays reachable."""
    heap = '"max_heap_size_bytes": '
    replacements = {f"{heap}{MAX_HEAP_BYTES}": f"{heap}{MAX_HEAP_BYTES // 6}"}
    with running_test_edge(tmp_path, replacements=replacements) as client, ExitStack() as stack:
        address = ("127.0.0.1", int(client.settings["EDGE_PORT"]))
        statistics_url = client.get_url("GATEWAY_ADMIN_PORT") + "/stats?filter=http.edge.downstream_cx_active"

        def count_connections() -> int:
            return int(httpx.get(statistics_url, trust_env=False).text.rpartition(" ")[2])

        def is_edge_available() -> bool:
            with socket.create_connection(address, timeout=5) as connection:
                return is_answered(connection)

        connections: list[socket.socket] = []
        while len(connections) < IDLE_CONNECTIONS:
            connection = stack.enter_context(socket.create_connection(address, timeout=1))
            if not is_answered(connection):
                connection.close()
                break
            connections.append(connection)
        assert len(connections) > IDLE_CONNECTIONS / 4
        wait_until(
            lambda: count_connections() < len(connections) / 4,
            MAX_RECOVERY_S,
            interval_s=0.5,
            description="idle connections are closed",
        )
        wait_until(is_edge_available, MAX_RECOVERY_S, interval_s=0.5, description="the edge answers")
