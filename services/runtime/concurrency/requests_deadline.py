"""Total deadline for blocking `requests` calls, whose own timeouts apply to each read."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Any, Self, override

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

_thread_local = threading.local()


class AbortableCall:
    """Call that runs in the `with` block of one thread and that another thread can abort."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._is_aborted = False

    def __enter__(self) -> Self:
        _thread_local.call = self
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        _thread_local.call = None
        with self._lock:
            self._socket = None  # it returns to the pool, from where another call may use it

    def track(self, connection_socket: socket.socket) -> None:
        """Set the socket that the call uses. Raises TimeoutError if the call was aborted."""
        with self._lock:
            if self._is_aborted:
                raise TimeoutError("call aborted")
            self._socket = connection_socket

    def abort(self) -> None:
        """Shut down the call's socket and reject further requests of the call; no effect after its end."""
        with self._lock:
            self._is_aborted = True
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    # SSLSocket.shutdown would discard the TLS state that the other thread is using.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def _track(connection_socket: Any) -> None:
    call: AbortableCall | None = getattr(_thread_local, "call", None)
    if call is not None and connection_socket is not None:
        call.track(connection_socket)


class _HttpConnection(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        _track(self.sock)

    def request(self, *args: Any, **options: Any) -> None:
        _track(self.sock)
        super().request(*args, **options)


class _HttpsConnection(HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        _track(self.sock)

    def request(self, *args: Any, **options: Any) -> None:
        _track(self.sock)
        super().request(*args, **options)


class _HttpConnectionPool(HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsConnectionPool(HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


class AbortableAdapter(HTTPAdapter):
    """Adapter for a `requests` session that tracks sockets for `AbortableCall` and does not retry."""

    @override
    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Create the pool manager with tracked connections."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpConnectionPool, "https": _HttpsConnectionPool}
