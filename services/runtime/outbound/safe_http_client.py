"""HTTP transport for URLs from third parties, which does not connect to internal networks (SSRF protection)."""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from typing import override
from urllib.parse import urlsplit

import httpx

from services.runtime.outbound.http1_transport import Http1Transport

type Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Resolver that returns the addresses of a host, best first. Raises OSError if the host does not resolve."""

type Connect = Callable[[str, int], Awaitable[socket.socket]]
"""Function that opens a TCP connection to an address and a port. Raises OSError."""

CONNECT_TIMEOUT_S = 3.0
"""Timeout of a connection attempt to one address, after which the next address is tried."""

MAX_ADDRESSES_TRIED = 4
"""Maximum number of addresses of a host to which a connection is attempted."""

_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_AZURE_METADATA = IPv4Address("168.63.129.16")
"""Azure's metadata and DNS service; the address is internal although its range is public."""


class ForbiddenTargetError(httpx.ConnectError):
    """The target is an address that is not public."""


def parse_origin(url: str) -> str:
    """Return the origin as scheme://host:port, with an explicit port."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def is_public_address(address: str) -> bool:
    """Return whether an address is public: not private, loopback, link-local, shared, reserved or multicast."""
    return _is_public_ip(ipaddress.ip_address(address.partition("%")[0]))


def _is_public_ip(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv4Address):
        return address.is_global and not address.is_multicast and address != _AZURE_METADATA
    embedded = address.ipv4_mapped or address.sixtofour
    if address in _NAT64:
        embedded = IPv4Address(int(address) & 0xFFFFFFFF)
    if embedded is not None:
        return _is_public_ip(embedded)
    return address in _GLOBAL_UNICAST and address.is_global


class _Connector:
    """Opens connections to allowed origins and to public addresses.

    It connects to the address that was validated, which prevents DNS rebinding.
    """

    def __init__(self, allowed_origins: Iterable[str], resolve: Resolve, connect: Connect) -> None:
        self._allowed_origins = frozenset(map(parse_origin, allowed_origins))
        self._resolve = resolve
        self._connect = connect

    async def __call__(self, url: httpx.URL) -> socket.socket:
        """Connect to an address of the host. Raises httpx.ConnectError.

        Raises ForbiddenTargetError if any address is not public, unless the origin is allowed.
        """
        host, port = url.host, url.port or (443 if url.scheme == "https" else 80)
        is_allowed = parse_origin(str(url)) in self._allowed_origins
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise httpx.ConnectError(f"{host} does not resolve") from error
        if not is_allowed and not (addresses and all(map(is_public_address, addresses))):
            raise ForbiddenTargetError(f"{host} is not a public address")
        last_error: OSError | None = None
        for address in list(dict.fromkeys(addresses))[:MAX_ADDRESSES_TRIED]:
            try:
                connection = await self._connect(address, port)
            except OSError as error:
                last_error = error
                continue
            if not is_allowed and not _is_public_peer(connection):
                connection.close()
                raise ForbiddenTargetError(f"{host} is connected to an address that is not public")
            return connection
        raise httpx.ConnectError(str(last_error or host)) from last_error


def _is_public_peer(connection: socket.socket) -> bool:
    """Return whether the peer is public. It may differ from the address because of network rules, such as NAT."""
    try:
        return is_public_address(str(connection.getpeername()[0]))
    except OSError:
        return False  # already disconnected


async def _connect_tcp(address: str, port: int) -> socket.socket:
    """Open a TCP connection. Raises OSError."""
    connection = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    try:
        connection.setblocking(False)
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            await asyncio.get_running_loop().sock_connect(connection, (address, port))
    except BaseException:
        connection.close()
        raise
    return connection


class _SystemResolver:
    """System resolver in dedicated threads, so that an unresponsive name server does not block other work."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(32, thread_name_prefix="resolve")

    async def __call__(self, host: str, port: int) -> list[str]:
        loop = asyncio.get_running_loop()
        entries = await loop.run_in_executor(
            self._executor, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        return [str(entry[4][0]) for entry in entries]

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)


class _SafeTransport(Http1Transport):
    """Transport with a resolver, whose threads it stops."""

    def __init__(self, allowed_origins: Iterable[str], resolve: Resolve | None, connect: Connect) -> None:
        self._resolver = _SystemResolver()
        super().__init__(_Connector(allowed_origins, resolve or self._resolver, connect), _get_tls_context())

    @override
    async def aclose(self) -> None:
        await super().aclose()
        self._resolver.close()


@cache
def _get_tls_context() -> ssl.SSLContext:
    """Return the TLS context, which all transports share because loading the CA certificates is slow."""
    context = httpx.create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def create_transport(
    allowed_origins: Iterable[str], *, resolve: Resolve | None = None, connect: Connect = _connect_tcp
) -> httpx.AsyncBaseTransport:
    """Create a transport for untrusted URLs, without redirects, proxies and cookies.

    Callers limit the total time of a request.

    `resolve` and `connect` default to the system's resolver and network.
    """
    return _SafeTransport(allowed_origins, resolve, connect)
