"""Memcached client: authentication, connection pool, timeouts, spans and error mapping around pymemcache."""

import asyncio
import logging
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, override

from pymemcache.client.base import Client, PooledClient
from pymemcache.exceptions import MemcacheClientError, MemcacheError

from generated.problems import Reason
from services.runtime.core.errors import ApiError
from services.runtime.telemetry.database_operations import DatabaseOperation

log = logging.getLogger(__name__)

OFFLOAD_THRESHOLD_S = 0.005
"""Duration of a command above which the next commands run in a thread, so that they do not block the event loop."""


class MemcachedServer(NamedTuple):
    """Address (host:port) of a server that requires authentication, and the credentials of a user.

    With a TLS context, connections are encrypted and the certificate of the server is verified for the host.
    """

    address: str
    username: str
    password: str
    tls_context: ssl.SSLContext | None = None


def create_client(server: MemcachedServer, *, timeout_s: float, max_connections: int) -> PooledClient:
    """Create a connection pool. `timeout_s` applies to each connection attempt, read and write."""
    host, _, port = server.address.rpartition(":")

    class AuthenticatingClient(Client):  # type: ignore[misc]  # pymemcache has no types
        """Client that authenticates each connection: the first command stores "<user> <password>" under any key."""

        @override
        def _connect(self) -> None:
            super()._connect()
            try:
                self.set("auth", f"{server.username} {server.password}".encode())
            except MemcacheClientError as error:
                log.error("authentication at Memcached failed: wrong user or password; treating it as unavailable")
                raise MemcacheClientError("authentication failed") from error

    client = PooledClient(
        (host, int(port)),
        max_pool_size=max_connections,
        connect_timeout=timeout_s,
        timeout=timeout_s,
        no_delay=True,
        default_noreply=False,
        tls_context=server.tls_context,
    )
    client.client_class = AuthenticatingClient
    return client


class Memcached:
    """Client of one server for the entries of one `collection`, which names them in spans.

    `timeout_s` applies to each connection attempt, read and write. `description` names the collection in errors, for
    example "rate limiter".
    """

    def __init__(
        self, server: MemcachedServer, *, collection: str, description: str, timeout_s: float, max_connections: int
    ) -> None:
        self._client = create_client(server, timeout_s=timeout_s, max_connections=max_connections)
        self._collection = collection
        self._description = description
        self._operations: dict[str, DatabaseOperation] = {}
        self._is_fast = False

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    async def execute[T](self, operation: str, command: Callable[[PooledClient], T]) -> T:
        """Run one command. Raises ApiError: UPSTREAM_UNAVAILABLE.

        A fast command is cheaper than a thread, so commands run on the event loop. After a slow or failed command they
        run in threads until one is fast again.
        """
        with self._start_operation(operation):
            if self._is_fast:
                return self._run_timed(command)
            return await asyncio.to_thread(self._run_timed, command)

    async def execute_sequence[T](self, operation: str, commands: Callable[[PooledClient], T]) -> T:
        """Run a function of several commands in a thread. Raises ApiError: UPSTREAM_UNAVAILABLE."""
        with self._start_operation(operation):
            return await asyncio.to_thread(commands, self._client)

    def create_unavailable_error(self) -> ApiError:
        """Return the error for a server that does not respond or rejects a command."""
        return ApiError(Reason.UPSTREAM_UNAVAILABLE, f"The {self._description} is unavailable.", retry_after=2)

    @contextmanager
    def _start_operation(self, operation: str) -> Iterator[None]:
        measured = self._operations.get(operation)
        if measured is None:
            measured = self._operations[operation] = DatabaseOperation("memcached", "", operation, self._collection)
        try:
            with measured.measure():
                yield
        except (MemcacheError, OSError) as error:
            raise self.create_unavailable_error() from error

    def _run_timed[T](self, command: Callable[[PooledClient], T]) -> T:
        started, self._is_fast = time.monotonic(), False
        result = command(self._client)
        self._is_fast = time.monotonic() - started < OFFLOAD_THRESHOLD_S
        return result
