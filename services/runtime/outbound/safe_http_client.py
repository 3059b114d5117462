"""HTTP client for URLs from third parties, which does not connect to internal networks (SSRF protection)."""

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
"""Resolver that returns the addresses of a host, best first. Raises OSError if the host does not resolve."""

MAX_ADDRESSES_TRIED = 4
"""Maximum number of addresses of a host to which a connection is attempted."""

_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_AZURE_METADATA = IPv4Address("168.63.129.16")
"""Azure's metadata and DNS service; the address is internal although its range is public."""


class ForbiddenTargetError(httpcore.ConnectError):
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


class _GuardedBackend(httpcore.AsyncNetworkBackend):
    """Network backend that connects to the address that was validated, which prevents DNS rebinding."""

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
        """Connect to a public address of the host. Raises ForbiddenTargetError if any address is not public."""
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"{host} does not resolve") from error
        if not addresses or not all(map(is_public_address, addresses)):
            raise ForbiddenTargetError(f"{host} is not a public address")
        last_error: httpcore.ConnectError | httpcore.ConnectTimeout | None = None
        for address in list(dict.fromkeys(addresses))[:MAX_ADDRESSES_TRIED]:
            try:
                stream = await self._backend.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last_error = error
                continue
            # The peer may differ from the address because of network rules of this machine, such as NAT.
            peer = stream.get_extra_info("server_addr")
            if not peer or not is_public_address(str(peer[0])):
                await stream.aclose()
                raise ForbiddenTargetError(f"{host} is connected to an address that is not public")
            return stream
        raise last_error or httpcore.ConnectError(host)

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None
    ) -> httpcore.AsyncNetworkStream:
        """Raises ForbiddenTargetError: Unix sockets are not allowed."""
        raise ForbiddenTargetError(path)

    async def sleep(self, seconds: float) -> None:
        """Sleep, as required by httpcore."""
        await self._backend.sleep(seconds)


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


class _GuardedTransport(httpx.AsyncBaseTransport):
    """Transport that connects directly to allowed origins, and through `_GuardedBackend` to all others."""

    def __init__(
        self, allowed_origins: Iterable[str], backend: httpcore.AsyncNetworkBackend, resolve: Resolve | None
    ) -> None:
        self._allowed_origins = frozenset(map(parse_origin, allowed_origins))
        self._resolver = _SystemResolver()
        guard = _GuardedBackend(backend, resolve or self._resolver)
        self._direct, self._guarded = _build_transport(backend), _build_transport(guard)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        is_allowed = parse_origin(str(request.url)) in self._allowed_origins
        transport = self._direct if is_allowed else self._guarded
        return await transport.handle_async_request(request)

    async def aclose(self) -> None:
        await self._direct.aclose()
        await self._guarded.aclose()
        self._resolver.close()


@cache
def _get_tls_context() -> ssl.SSLContext:
    """Return the TLS context, which all clients share because loading the CA certificates is slow."""
    return httpx.create_ssl_context()


def _build_transport(backend: httpcore.AsyncNetworkBackend) -> httpx.AsyncHTTPTransport:
    transport = httpx.AsyncHTTPTransport(verify=_get_tls_context(), retries=0)
    transport._pool = httpcore.AsyncConnectionPool(  # httpx offers no other way to hand over a network backend
        ssl_context=_get_tls_context(), max_connections=100, network_backend=backend
    )
    return transport


def create_client(
    allowed_origins: Iterable[str],
    *,
    timeout_s: float,
    resolve: Resolve | None = None,
    backend: httpcore.AsyncNetworkBackend | None = None,
) -> httpx.AsyncClient:
    """Create an HTTP client for untrusted URLs, without redirects, proxies and cookies.

    `timeout_s` applies to each connect, read and write; callers add a total timeout themselves. `resolve` and `backend`
    default to the system's resolver and network.
    """
    return httpx.AsyncClient(
        transport=_GuardedTransport(allowed_origins, backend or httpcore.AnyIOBackend(), resolve),
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        timeout=timeout_s,
        follow_redirects=False,
        trust_env=False,
    )
