"""Requests, responses, connections and limits of the HTTP/1.1 transport, with a scripted server."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from cryptography import x509

from deploy.local.pki.certificates import CertificateAuthority
from services.runtime.outbound import http1_transport
from services.runtime.outbound.http1_transport import Http1Transport

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"


class Server:
    """Server that answers each request with the next response. It closes the connection after one without framing."""

    def __init__(self, *responses: bytes) -> None:
        self.responses = list(responses)
        self.requests: list[bytes] = []
        self.connections = 0
        self.closes = False
        self.closed = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while self.responses:
                self.requests.append(await reader.readuntil(b"{}"))
                response = self.responses.pop(0)
                writer.write(response)
                if self.closes or (b"content-length" not in response and b"chunked" not in response):
                    return
            await reader.read()
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()
            self.closed.set()


@asynccontextmanager
async def running(
    folder: Path, *responses: bytes, certificate_of: CertificateAuthority | None = None
) -> AsyncIterator[tuple[Server, Http1Transport]]:
    server = Server(*responses)
    server_context, client_context = None, ssl.create_default_context()
    if certificate_of is not None:
        server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        server_context.load_cert_chain(certificate_of.folder / "server.pem", certificate_of.folder / "server.key")
        client_context.load_verify_locations(certificate_of.folder / "ca.pem")

    async def open_socket(url: httpx.URL) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, str(folder / "s"))
        return connection

    async with (
        await asyncio.start_unix_server(server.serve, folder / "s", ssl=server_context),
        Http1Transport(open_socket, client_context) as transport,
    ):
        yield server, transport


async def post(transport: Http1Transport, url: str = "http://kitchen.test/orders", **headers: str) -> httpx.Response:
    async with asyncio.timeout(5):
        request = httpx.Request("POST", url, headers=headers, content=b"{}")
        response = await transport.handle_async_request(request)
        try:
            await response.aread()
        finally:
            await response.aclose()
        return response


async def test_connection_is_reused_by_requests_in_turn(tmp_path: Path) -> None:
    async with running(tmp_path, OK, OK) as (server, transport):
        for path in ("/a?b=c", "/d"):
            response = await post(transport, f"http://kitchen.test:8080{path}", signature="v1,x")
            assert (response.status_code, response.content) == (200, b"hello")
    assert server.connections == 1
    assert server.requests == [
        b"POST %s HTTP/1.1\r\nHost: kitchen.test:8080\r\nsignature: v1,x\r\nContent-Length: 2\r\n\r\n{}" % path
        for path in (b"/a?b=c", b"/d")
    ]


@pytest.mark.parametrize("second_url", ["http://other.test/", "http://kitchen.test:81/"])
async def test_connection_is_not_reused_for_other_origin(tmp_path: Path, second_url: str) -> None:
    async with running(tmp_path, OK, OK) as (server, transport):
        await post(transport)
        await post(transport, second_url)
    assert server.connections == 2


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nset-cookie: a\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nhello",
        b"HTTP/1.0 200 OK\r\nserver: x\r\n\r\nhello",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + OK,
        OK + OK.replace(b"200", b"500").replace(b"hello", b"extra"),
    ],
    ids=["chunks", "until the end of the connection", "HTTP/1.0", "informational", "two responses"],
)
async def test_every_framing_of_a_response_is_read(tmp_path: Path, response: bytes) -> None:
    async with running(tmp_path, response, OK) as (_, transport):
        received = await post(transport)
        assert (received.status_code, received.content) == (200, b"hello")
        assert not {"set-cookie", "link"} & {*received.headers}
        assert (await post(transport)).content == b"hello"


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nserver: x\r\n",
        OK.replace(b": 5", b": 9"),
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
    ],
    ids=["none", "incomplete head", "incomplete body", "other protocol", "upgrade", "ambiguous"],
)
async def test_malformed_response_is_an_error(tmp_path: Path, response: bytes) -> None:
    async with running(tmp_path, response, OK) as (server, transport):
        server.closes = True
        with pytest.raises(httpx.RemoteProtocolError):
            await post(transport)
        assert (await post(transport)).content == b"hello"
    assert server.connections == 2


async def test_cancelled_request_closes_its_connection(tmp_path: Path) -> None:
    async with running(tmp_path, OK.replace(b": 5", b": 9")) as (server, transport):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await post(transport)
        async with asyncio.timeout(5):
            await server.closed.wait()


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx: " + b"x" * 200,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;" + b"x" * 200,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: " + b"x" * 200,
    ],
    ids=["header", "chunk extension", "trailer"],
)
async def test_everything_but_the_body_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, response: bytes
) -> None:
    monkeypatch.setattr(http1_transport, "MAX_OVERHEAD_BYTES", 100)
    body = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n" + b"x" * 1000
    async with running(tmp_path, body, response) as (_, transport):
        assert len((await post(transport)).content) == 1000
        with pytest.raises(httpx.RemoteProtocolError, match="too large"):
            await post(transport)


async def test_response_that_is_not_read_closes_the_connection(tmp_path: Path) -> None:
    async with running(tmp_path, OK.replace(b": 5", b": 50"), OK) as (server, transport):
        response = await transport.handle_async_request(httpx.Request("POST", "http://kitchen.test/", content=b"{}"))
        await response.aclose()
        async with asyncio.timeout(5):
            await server.closed.wait()
        assert (await post(transport)).content == b"hello"
    assert server.connections == 2


async def test_unused_connections_are_bounded_in_number_and_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http1_transport, "MAX_IDLE_CONNECTIONS", 1)
    async with running(tmp_path, OK, OK, OK, OK) as (server, transport):
        await post(transport, "http://a.test/")
        await post(transport, "http://b.test/")
        await post(transport, "http://a.test/")
        assert server.connections == 3
        monkeypatch.setattr(http1_transport, "IDLE_TIMEOUT_S", -1.0)
        await post(transport, "http://a.test/")
        assert server.connections == 4


@pytest.mark.parametrize("value", ["x\r\nhost: other.test", "x\nx", "x\x00"])
async def test_control_character_in_head_is_not_sent(tmp_path: Path, value: str) -> None:
    async with running(tmp_path, OK) as (server, transport):
        with pytest.raises(httpx.LocalProtocolError):
            await post(transport, signature=value)
    assert server.connections == 0


async def test_certificate_of_the_server_is_verified(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path / "pki")
    authority.issue_certificate("server", [x509.DNSName("kitchen.test")])
    async with running(tmp_path, OK, certificate_of=authority) as (server, transport):
        for url in ("https://other.test/", "https://127.0.0.1/"):
            with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
                await post(transport, url)
        assert server.requests == []
        assert (await post(transport, "https://kitchen.test/")).content == b"hello"
