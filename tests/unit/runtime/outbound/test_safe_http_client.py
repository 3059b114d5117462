"""Requests to addresses other people chose: none reaches our own network, by whatever name."""

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Any

import httpcore
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.outbound import safe_http_client
from services.runtime.outbound.safe_http_client import ForbiddenTargetError

PUBLIC = "93.184.215.14"
ANSWER = b"HTTP/1.1 204 No Content\r\nset-cookie: a=b; path=/\r\n\r\n"


class Stream(httpcore.AsyncMockStream):
    """A connection that ends where it is told to."""

    def __init__(self, peer: str) -> None:
        super().__init__([ANSWER] * 3)
        self.peer = peer
        self.sent = b""

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.sent += buffer

    def get_extra_info(self, info: str) -> Any:
        return (self.peer, 80) if info == "server_addr" else super().get_extra_info(info)


class Network(httpcore.AsyncNetworkBackend):
    """Connects nowhere, and remembers where it was asked to; `leads_to` is where connections really end."""

    def __init__(self, leads_to: str | None = None, refusing: Sequence[str] = ()) -> None:
        self.asked: list[tuple[str, int]] = []
        self.streams: list[Stream] = []
        self._leads_to = leads_to
        self._refusing = refusing

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self.asked.append((host, port))
        if host in self._refusing:
            raise httpcore.ConnectError("refused")
        self.streams.append(Stream(self._leads_to or host))
        return self.streams[-1]


class Names:
    """A resolver that gives each of its answers in turn, then the last."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


async def post(
    url: str, network: Network, names: safe_http_client.Resolve | None = None, *allowed: str
) -> httpx.Response:
    async with safe_http_client.create_client(allowed, timeout_s=5, resolve=names, backend=network) as client:
        return await client.post(url, content=b"{}")


async def refused(url: str, network: Network, names: safe_http_client.Resolve | None = None, *allowed: str) -> None:
    with pytest.raises(httpx.ConnectError) as error:
        await post(url, network, names, *allowed)
    assert isinstance(error.value.__cause__, ForbiddenTargetError)


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
async def test_no_address_of_ours_is_connected_to(host: str) -> None:
    network = Network()
    await refused(f"http://{host}/orders", network)
    assert network.asked == []


@pytest.mark.parametrize("answer", [["127.0.0.1"], [PUBLIC, "127.0.0.1"], ["127.0.0.1", PUBLIC], ["::1"], []])
async def test_a_name_that_resolves_to_loopback_is_refused_even_beside_a_public_address(answer: list[str]) -> None:
    network = Network()
    await refused("http://kitchen.example:15000/orders", network, Names(answer))
    assert network.asked == []


async def test_a_name_that_changes_between_check_and_connect_is_asked_only_once() -> None:
    network, names = Network(), Names([PUBLIC], ["127.0.0.1"])
    answer = await post("http://kitchen.example:9901/orders", network, names)
    assert answer.status_code == 204
    assert (names.asked, network.asked) == (1, [(PUBLIC, 9901)])
    assert b"host: kitchen.example:9901\r\n" in network.streams[0].sent.lower()


async def test_a_name_that_changes_is_refused_at_the_next_request() -> None:
    network, names = Network(), Names([PUBLIC], ["127.0.0.1"])
    await post("http://kitchen.example:9901/orders", network, names)
    await refused("http://kitchen.example:9901/orders", network, names)
    assert network.asked == [(PUBLIC, 9901)]


async def test_nothing_is_sent_where_a_connection_leads_to_ourselves_after_all() -> None:
    network = Network(leads_to="127.0.0.1")
    await refused("http://kitchen.example:15000/orders", network, Names([PUBLIC]))
    assert [stream.sent for stream in network.streams] == [b""]


async def test_the_next_address_is_tried_when_one_refuses() -> None:
    network = Network(refusing=[PUBLIC])
    answer = await post(
        "http://kitchen.example/orders", network, Names([PUBLIC, "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
    )
    assert answer.status_code == 204
    assert len(network.asked) == 2


@pytest.mark.parametrize(
    ("url", "goes"),
    [
        ("http://127.0.0.1:8090/partner/1/orders", True),
        ("http://127.0.0.1:8091/partner/1/orders", False),
        ("https://127.0.0.1:8090/partner/1/orders", False),
        ("http://localhost:8090/partner/1/orders", False),
        ("http://127.0.0.1.nip.example:8090/partner/1/orders", False),
    ],
)
async def test_only_exact_origins_are_allowed(url: str, goes: bool) -> None:
    network = Network()
    if goes:
        assert (await post(url, network, Names(["127.0.0.1"]), "http://127.0.0.1:8090")).status_code == 204
    else:
        await refused(url, network, Names(["127.0.0.1"]), "http://127.0.0.1:8090")


async def test_redirects_are_not_followed_and_cookies_not_kept() -> None:
    network = Network()
    async with safe_http_client.create_client((), timeout_s=5, resolve=Names([PUBLIC]), backend=network) as client:
        for _ in range(2):
            await client.post("http://kitchen.example/orders", content=b"{}")
        assert not client.follow_redirects
        assert list(client.cookies.jar) == []
    assert b"cookie" not in b"".join(stream.sent for stream in network.streams).lower()


async def test_a_host_without_an_address_is_an_error_of_the_connection() -> None:
    async def nowhere(host: str, port: int) -> Sequence[str]:
        raise OSError("no such name")

    with pytest.raises(httpx.ConnectError, match="does not resolve"):
        await post("http://kitchen.example/orders", Network(), nowhere)


async def test_no_socket_of_this_machine_is_connected_to() -> None:
    backend = safe_http_client._GuardedBackend(Network(), Names([PUBLIC]))
    with pytest.raises(ForbiddenTargetError):
        await backend.connect_unix_socket("/run/app.sock")


@given(st.ip_addresses(v=4))
def test_what_wraps_an_address_is_as_public_as_what_it_wraps(inner: ipaddress.IPv4Address) -> None:
    public = safe_http_client.is_public_address(str(inner))
    number = int(inner)
    assert safe_http_client.is_public_address(f"::ffff:{inner}") == public
    assert safe_http_client.is_public_address(str(ipaddress.IPv6Address((0x64FF9B << 96) | number))) == public
    assert safe_http_client.is_public_address(str(ipaddress.IPv6Address((0x2002 << 112) | (number << 80)))) == public
    if inner.is_private or inner.is_loopback or inner.is_link_local or inner.is_multicast or inner.is_reserved:
        assert not public
