"""Memcached client: authentication, connection pool, timeouts, spans and error mapping around pymemcache."""

import asyncio
import logging
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple, override

from pymemcache.client.base import Client, PooledClient
from pymemcache.client.hash import HashClient
from pymemcache.exceptions import MemcacheClientError, MemcacheError, MemcacheUnexpectedCloseError

from generated.problems import Reason
from services.runtime.core.errors import ApiError
from services.runtime.telemetry.database_operations import DatabaseOperation

log = logging.getLogger(__name__)

OFFLOAD_THRESHOLD_S = 0.005
"""Duration of a command above which the next commands run in a thread, so that they do not block the event loop."""


NODE_RETRY_INTERVAL_S = 2
"""Seconds until a failed node is used again, if the entries are distributed over several nodes."""


class MemcachedServer(NamedTuple):
    """Address (host:port) of a server that requires authentication, and the credentials of a user.

    The entries are distributed over the nodes of comma-separated addresses. With a TLS context, connections are
    encrypted and the certificate of the server is verified for the host.
    """

    address: str
    username: str
    password: str
    tls_context: ssl.SSLContext | None = None


class NodeClient(HashClient):  # type: ignore[misc]  # pymemcache has no types
    """Client of several nodes, over which rendezvous hashing distributes the entries, with a connection pool for each.

    The entries of a failed node are lost; meanwhile other nodes store its keys. The base class is not safe for threads
    when a node fails.
    """

    def __init__(self, *arguments: object, **options: object) -> None:
        self._lock = threading.Lock()
        super().__init__(*arguments, **options)

    @override
    def _mark_failed_server(self, server: tuple[str, int]) -> None:
        key = self._make_client_key(server)
        with self._lock:
            if key not in self.hasher.nodes:
                return
            log.warning("Memcached node %s failed; using the other nodes for its keys", key)
            self._dead_clients[server] = time.time()
            self.hasher.remove_node(key)
        pool = self.clients[key].client_pool
        while pool.free:
            pool.destroy(pool.get())

    @override
    def _safely_run_func(
        self, client: PooledClient, func: Callable[..., object], *arguments: Any, **options: Any
    ) -> Any:
        try:
            return super()._safely_run_func(client, func, *arguments, **options)
        except MemcacheUnexpectedCloseError:
            self._mark_failed_server(client.server)  # it has closed the idle connections as well
            raise

    @override
    def _retry_dead(self) -> None:
        with self._lock:
            super()._retry_dead()


type CacheClient = PooledClient | NodeClient
"""Client of one server or of several nodes, with the same commands."""


def create_client(server: MemcachedServer, *, timeout_s: float, max_connections: int) -> CacheClient:
    """Create a connection pool for each node. `timeout_s` applies to each connection attempt, read and write."""

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

    addresses = [(host, int(port)) for host, _, port in (each.rpartition(":") for each in server.address.split(","))]
    options = {
        "max_pool_size": max_connections,
        "connect_timeout": timeout_s,
        "timeout": timeout_s,
        "no_delay": True,
        "default_noreply": False,
        "tls_context": server.tls_context,
    }
    if len(addresses) == 1:
        client = PooledClient(addresses[0], **options)
        client.client_class = AuthenticatingClient
        return client
    # Nodes are added after their client class is set.
    nodes = NodeClient([], use_pooling=True, dead_timeout=NODE_RETRY_INTERVAL_S, **options)
    nodes.client_class = AuthenticatingClient
    for address in addresses:
        nodes.add_server(address)
    return nodes


class Memcached:
    """Client of one server, or of several nodes, for the entries of one `collection`, which names them in spans.

    `timeout_s` applies to each connection attempt, read and write. `description` names the collection in errors, for
    example "rate limiter".
    """

    def __init__(
        self, server: MemcachedServer, *, collection: str, description: str, timeout_s: float, max_connections: int
    ) -> None:
        self._client = create_client(server, timeout_s=timeout_s, max_connections=max_connections)
        self._max_retries = server.address.count(",")
        self._collection = collection
        self._description = description
        self._operations: dict[str, DatabaseOperation] = {}
        self._is_fast = False

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    async def execute[T](self, operation: str, command: Callable[[CacheClient], T]) -> T:
        """Run one command. Raises ApiError: UPSTREAM_UNAVAILABLE.

        A fast command is cheaper than a thread, so commands run on the event loop. After a slow or failed command they
        run in threads until one is fast again.
        """
        try:
            with self._get_operation(operation).measure():
                if self._is_fast:
                    return self._run_timed(command)
                return await asyncio.to_thread(self._run_timed, command)
        except (MemcacheError, OSError) as error:
            raise self.create_unavailable_error() from error

    async def execute_sequence[T](self, operation: str, commands: Callable[[CacheClient], T]) -> T:
        """Run a function of several commands in a thread. Raises ApiError: UPSTREAM_UNAVAILABLE.

        The function runs again if a node fails, so that a counter may be incremented twice.
        """
        try:
            with self._get_operation(operation).measure():
                return await asyncio.to_thread(self._run, commands)
        except (MemcacheError, OSError) as error:
            raise self.create_unavailable_error() from error

    def create_unavailable_error(self) -> ApiError:
        """Return the error for a server that does not respond or rejects a command."""
        return ApiError(Reason.UPSTREAM_UNAVAILABLE, f"The {self._description} is unavailable.", retry_after=2)

    def _get_operation(self, operation: str) -> DatabaseOperation:
        measured = self._operations.get(operation)
        if measured is None:
            measured = self._operations[operation] = DatabaseOperation("memcached", "", operation, self._collection)
        return measured

    def _run_timed[T](self, command: Callable[[CacheClient], T]) -> T:
        started, self._is_fast = time.monotonic(), False
        result = self._run(command)
        self._is_fast = time.monotonic() - started < OFFLOAD_THRESHOLD_S
        return result

    def _run[T](self, command: Callable[[CacheClient], T]) -> T:
        """Run a command, and run it on another node if its node fails."""
        for _ in range(self._max_retries):
            with suppress(OSError, MemcacheUnexpectedCloseError):  # the client has excluded the node
                return command(self._client)
        return command(self._client)
