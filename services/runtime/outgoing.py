"""Requests that leave the mesh, to addresses other people chose: never to our own network, whatever a name says."""

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

import httpcore
import httpx


def origin(url: str) -> str:
    """scheme://host:port, the port always said."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


class _GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects to the very address that it looked at, so that a name cannot change its mind in between."""

    def __init__(self, allowed: frozenset[tuple[str, int]]) -> None:
        self._inner = httpcore.AnyIOBackend()
        self._allowed = allowed

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connects to a public address of the host, or to any if its origin is allowed."""
        if (host, port) in self._allowed:
            return await self._inner.connect_tcp(host, port, timeout, local_address, socket_options)
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError(f"{host} does not resolve") from error
        address = str(found[0][4][0])
        if not ipaddress.ip_address(address).is_global:
            raise httpcore.ConnectError(f"{host} is not a public address")
        return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None
    ) -> httpcore.AsyncNetworkStream:
        """No request leaves by a socket of this machine."""
        raise httpcore.ConnectError(path)

    async def sleep(self, seconds: float) -> None:
        """As httpcore asks."""
        await self._inner.sleep(seconds)


def client(allowed_origins: Iterable[str], *, timeout: float) -> httpx.AsyncClient:
    """An HTTP client for untrusted addresses: no redirects, no proxies, no cookies kept, `timeout` seconds in all."""
    allowed = {urlsplit(origin(url)) for url in allowed_origins}
    transport = httpx.AsyncHTTPTransport(retries=0)
    transport._pool = httpcore.AsyncConnectionPool(  # httpx offers no other way to hand over a network backend
        ssl_context=httpx.create_ssl_context(),
        max_connections=100,
        network_backend=_GuardedBackend(frozenset((parts.hostname or "", parts.port or 0) for parts in allowed)),
    )
    return httpx.AsyncClient(transport=transport, timeout=timeout, follow_redirects=False, trust_env=False)
