"""SSRF protection: no request reaches an internal address, by any name or notation."""

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from functools import partial
from typing import cast

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.outbound import safe_http_client
from services.runtime.outbound.safe_http_client import ForbiddenTargetError

PUBLIC_ADDRESS = "93.184.215.14"
RESPONSE = (
    b"HTTP/1.1 204 No Content\r\nset-cookie: a=b; path=/\r\nlocation: http://127.0.0.1/\r\ncontent-length: 0\r\n\r\n"
)


class FakeSocket(socket.socket):
    """Connected socket with a configured peer address."""

    peer_address: str

    def getpeername(self) -> tuple[str, int]:
        return self.peer_address, 80


class FakeNetwork:
    """Network that records connection attempts; `peer_address` overrides the address of the peer."""

    def __init__(self, peer_address: str | None = None, closed_addresses: Sequence[str] = ()) -> None:
        self.attempts: list[tuple[str, int]] = []
        self.sent: list[bytes] = []
        self.response = RESPONSE
        self._peer_address = peer_address
        self._closed_addresses = closed_addresses

    async def connect(self, address: str, port: int) -> socket.socket:
        self.attempts.append((address, port))
        if address in self._closed_addresses:
            raise ConnectionRefusedError
        near, far = socket.socketpair()
        self.sent.append(b"")
        await asyncio.get_running_loop().connect_accepted_socket(partial(_Server, self, len(self.sent) - 1), far)
        connection = FakeSocket(near.family, near.type, fileno=near.detach())
        connection.setblocking(False)
        connection.peer_address = self._peer_address or address
        return connection


class _Server(asyncio.Protocol):
    """Responds to each request, whose body is two bytes."""

    def __init__(self, network: FakeNetwork, number: int) -> None:
        self._network = network
        self._number = number

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._network.sent[self._number] += data
        if self._network.sent[self._number].endswith(b"\r\n\r\n{}"):
            self._transport.write(self._network.response)


class FakeResolver:
    """Resolver that returns its results in turn, and then the last one."""

    def __init__(self, *results: Sequence[str]) -> None:
        self.results = list(results)
        self.calls = 0

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.calls += 1
        return self.results.pop(0) if len(self.results) > 1 else self.results[0]


async def post(
    url: str, network: FakeNetwork, resolver: safe_http_client.Resolve | None = None, *allowed: str
) -> httpx.Response:
    transport = safe_http_client.create_transport(allowed, resolve=resolver, connect=network.connect)
    async with httpx.AsyncClient(transport=transport) as client:
        return await client.post(url, content=b"{}")


async def assert_forbidden(
    url: str, network: FakeNetwork, resolver: safe_http_client.Resolve | None = None, *allowed: str
) -> None:
    with pytest.raises(ForbiddenTargetError):
        await post(url, network, resolver, *allowed)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:9901",
        "127.0.0.1:15000",
        "localhost:9901",
        "localhost:15000",
        "[::1]:9901",
        "0.0.0.0:15000",
        "[::]:15000",
        "2130706433:9901",
        "0x7f.1:9901",
        "10.0.0.1",
        "172.16.5.4",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "168.63.129.16",
        "224.0.0.1",
        "255.255.255.255",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "[ff02::1]",
        "[::ffff:127.0.0.1]:9901",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::7f00:1]:9901",
        "[2002:7f00:1::]:9901",
    ],
)
async def test_internal_addresses_are_rejected(host: str) -> None:
    network = FakeNetwork()
    await assert_forbidden(f"http://{host}/orders", network)
    assert network.attempts == []


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], [PUBLIC_ADDRESS, "127.0.0.1"], ["127.0.0.1", PUBLIC_ADDRESS], ["::1"], []]
)
async def test_host_with_any_internal_address_is_rejected(addresses: list[str]) -> None:
    network = FakeNetwork()
    await assert_forbidden("http://kitchen.example:15000/orders", network, FakeResolver(addresses))
    assert network.attempts == []


async def test_host_is_resolved_once_per_request_against_dns_rebinding() -> None:
    network, resolver = FakeNetwork(), FakeResolver([PUBLIC_ADDRESS], ["127.0.0.1"])
    response = await post("http://kitchen.example:9901/orders", network, resolver)
    assert response.status_code == 204
    assert (resolver.calls, network.attempts) == (1, [(PUBLIC_ADDRESS, 9901)])
    assert b"host: kitchen.example:9901\r\n" in network.sent[0].lower()


async def test_changed_address_is_rejected_on_next_request() -> None:
    network, resolver = FakeNetwork(), FakeResolver([PUBLIC_ADDRESS], ["127.0.0.1"])
    await post("http://kitchen.example:9901/orders", network, resolver)
    await assert_forbidden("http://kitchen.example:9901/orders", network, resolver)
    assert network.attempts == [(PUBLIC_ADDRESS, 9901)]


async def test_nothing_is_sent_if_peer_address_is_internal() -> None:
    network = FakeNetwork(peer_address="127.0.0.1")
    await assert_forbidden("http://kitchen.example:15000/orders", network, FakeResolver([PUBLIC_ADDRESS]))
    assert network.sent == [b""]


async def test_next_address_is_tried_after_failed_connection() -> None:
    network = FakeNetwork(closed_addresses=[PUBLIC_ADDRESS])
    response = await post(
        "http://kitchen.example/orders",
        network,
        FakeResolver([PUBLIC_ADDRESS, "2606:2800:21f:cb07:6820:80da:af6b:8b2c"]),
    )
    assert response.status_code == 204
    assert len(network.attempts) == 2


@pytest.mark.parametrize(
    ("url", "is_allowed"),
    [
        ("http://127.0.0.1:8090/partner/1/orders", True),
        ("http://127.0.0.1:8091/partner/1/orders", False),
        ("https://127.0.0.1:8090/partner/1/orders", False),
        ("http://localhost:8090/partner/1/orders", False),
        ("http://127.0.0.1.nip.example:8090/partner/1/orders", False),
    ],
)
async def test_only_exact_allowed_origins_bypass_validation(url: str, is_allowed: bool) -> None:
    network = FakeNetwork()
    if is_allowed:
        assert (await post(url, network, FakeResolver(["127.0.0.1"]), "http://127.0.0.1:8090")).status_code == 204
    else:
        await assert_forbidden(url, network, FakeResolver(["127.0.0.1"]), "http://127.0.0.1:8090")


async def test_redirects_are_not_followed_and_cookies_not_stored() -> None:
    network = FakeNetwork()
    transport = safe_http_client.create_transport((), resolve=FakeResolver([PUBLIC_ADDRESS]), connect=network.connect)
    async with transport:
        for status in (204, 302):
            network.response = RESPONSE.replace(b"204", b"%d" % status)
            request = httpx.Request("POST", "http://kitchen.example/orders", content=b"{}")
            response = await transport.handle_async_request(request)
            await response.aread()
            assert response.status_code == status
    assert len(network.attempts) == 1
    assert b"cookie" not in b"".join(network.sent).lower()


async def test_unresolvable_host_raises_connect_error() -> None:
    async def fail_to_resolve(host: str, port: int) -> Sequence[str]:
        raise OSError("no such host")

    with pytest.raises(httpx.ConnectError, match="does not resolve"):
        await post("http://kitchen.example/orders", FakeNetwork(), fail_to_resolve)


@pytest.mark.parametrize("url", ["unix:///run/app.sock", "file:///run/app.sock", "/orders", "http:///orders"])
async def test_unix_sockets_are_rejected(url: str) -> None:
    network = FakeNetwork()
    transport = safe_http_client.create_transport((), connect=network.connect)
    with pytest.raises(httpx.UnsupportedProtocol):
        await transport.handle_async_request(httpx.Request("POST", url))
    assert network.attempts == []


@given(st.ip_addresses(v=4))
def test_embedded_ipv4_address_determines_whether_ipv6_is_public(embedded: ipaddress.IPv4Address) -> None:
    is_public = safe_http_client.is_public_address(str(embedded))
    number = int(embedded)
    assert safe_http_client.is_public_address(f"::ffff:{embedded}") == is_public
    assert safe_http_client.is_public_address(str(ipaddress.IPv6Address((0x64FF9B << 96) | number))) == is_public
    assert safe_http_client.is_public_address(str(ipaddress.IPv6Address((0x2002 << 112) | (number << 80)))) == is_public
    if (
        embedded.is_private
        or embedded.is_loopback
        or embedded.is_link_local
        or embedded.is_multicast
        or embedded.is_reserved
    ):
        assert not is_public
