"""Ends blocking HTTP calls of `requests`: its timeouts are for each read, and a byte a second lasts for ever."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Any, Self

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

_thread_local = threading.local()


class AbortableCall:
    """What one thread is doing, from `with` to its end. Another thread may cut it off."""

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
            self._socket = None  # goes back to its pool, and is somebody else's from now on

    def track(self, connection_socket: socket.socket) -> None:
        """Takes note of what the call waits for. Raises TimeoutError when it has been cut off."""
        with self._lock:
            if self._is_aborted:
                raise TimeoutError("the call was cut off")
            self._socket = connection_socket

    def abort(self) -> None:
        """Whatever the call waits for ends now, and nothing new begins; without effect when it is over."""
        with self._lock:
            self._is_aborted = True
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    # Not SSLSocket's own, which takes the TLS state away from under the thread that reads.
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
    """To be mounted on a session; never tries again."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Called by `requests`."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpConnectionPool, "https": _HttpsConnectionPool}
