"""Requests that leave the mesh, to addresses other people chose: never to our own network, whatever a name says."""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from urllib.parse import urlsplit

import httpcore
import httpx

type Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host, best first. Raises OSError when there is none."""

MAX_ADDRESSES_TRIED = 4
"""Of a host with many addresses, how many are tried."""

_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_AZURE_METADATA = IPv4Address("168.63.129.16")
"""Where Azure's machines learn about themselves; it looks public, and is not."""


class ForbiddenTargetError(httpcore.ConnectError):
    """The target is, or has just become, an address that nobody outside may send us to."""


def parse_origin(url: str) -> str:
    """scheme://host:port, the port always said."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def is_public_address(address: str) -> bool:
    """Whether an address is one of the Internet's: not private, local, link-local, shared, reserved or multicast."""
    return _is_public_ip(ipaddress.ip_address(address.partition("%")[0]))


def _is_public_ip(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv4Address):
        return address.is_global and not address.is_multicast and address != _AZURE_METADATA
    inner = address.ipv4_mapped or address.sixtofour
    if address in _NAT64:
        inner = IPv4Address(int(address) & 0xFFFFFFFF)
    if inner is not None:
        return _is_public_ip(inner)
    return address in _GLOBAL_UNICAST and address.is_global


class _GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects to the very address that it looked at, so that a name cannot change its mind in between."""

    def __init__(self, backend: httpcore.AsyncNetworkBackend, resolve: Resolve) -> None:
        self._backend = backend
        self._resolve = resolve

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connects to a public address of the host. Raises ForbiddenTargetError if only one of them is not public."""
        try:
            found = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"{host} does not resolve") from error
        if not found or not all(map(is_public_address, found)):
            raise ForbiddenTargetError(f"{host} is not a public address")
        failed: httpcore.ConnectError | httpcore.ConnectTimeout | None = None
        for address in list(dict.fromkeys(found))[:MAX_ADDRESSES_TRIED]:
            try:
                stream = await self._backend.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
                continue
            # What is at the other end may still be another, by a rule of this machine's network.
            peer = stream.get_extra_info("server_addr")
            if not peer or not is_public_address(str(peer[0])):
                await stream.aclose()
                raise ForbiddenTargetError(f"{host} leads to an address that is not public")
            return stream
        raise failed or httpcore.ConnectError(host)

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None
    ) -> httpcore.AsyncNetworkStream:
        """No request leaves by a socket of this machine."""
        raise ForbiddenTargetError(path)

    async def sleep(self, seconds: float) -> None:
        """As httpcore asks."""
        await self._backend.sleep(seconds)


class _SystemResolver:
    """The system's resolver in threads of its own, so that a name server that hangs holds up no other work."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(32, thread_name_prefix="resolve")

    async def __call__(self, host: str, port: int) -> list[str]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._executor, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        return [str(each[4][0]) for each in found]

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)


class _GuardedTransport(httpx.AsyncBaseTransport):
    """Sends to exactly those origins that are allowed without a look, to all others through the guard."""

    def __init__(
        self, allowed_origins: Iterable[str], backend: httpcore.AsyncNetworkBackend, resolve: Resolve | None
    ) -> None:
        self._allowed_origins = frozenset(map(parse_origin, allowed_origins))
        self._resolver = _SystemResolver()
        guard = _GuardedBackend(backend, resolve or self._resolver)
        self._direct, self._guarded = _build_transport(backend), _build_transport(guard)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        chosen = self._direct if parse_origin(str(request.url)) in self._allowed_origins else self._guarded
        return await chosen.handle_async_request(request)

    async def aclose(self) -> None:
        await self._direct.aclose()
        await self._guarded.aclose()
        self._resolver.close()


@cache
def _tls_context() -> ssl.SSLContext:
    """Whom we trust; reading it takes longer than a request, so all clients share it."""
    return httpx.create_ssl_context()


def _build_transport(backend: httpcore.AsyncNetworkBackend) -> httpx.AsyncHTTPTransport:
    transport = httpx.AsyncHTTPTransport(verify=_tls_context(), retries=0)
    transport._pool = httpcore.AsyncConnectionPool(  # httpx offers no other way to hand over a network backend
        ssl_context=_tls_context(), max_connections=100, network_backend=backend
    )
    return transport


def create_client(
    allowed_origins: Iterable[str],
    *,
    timeout_s: float,
    resolve: Resolve | None = None,
    backend: httpcore.AsyncNetworkBackend | None = None,
) -> httpx.AsyncClient:
    """An HTTP client for untrusted addresses: no redirects, no proxies, no cookies kept.

    `timeout` seconds are for each of connecting, sending and reading; whoever wants an end to it all sets one.
    `resolve` and `backend` are the system's unless others are given.
    """
    return httpx.AsyncClient(
        transport=_GuardedTransport(allowed_origins, backend or httpcore.AnyIOBackend(), resolve),
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        timeout=timeout_s,
        follow_redirects=False,
        trust_env=False,
    )
