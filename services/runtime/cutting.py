"""Ends blocking HTTP calls of `requests`: its timeouts are for each read, and a byte a second lasts for ever."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Any, Self

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

_here = threading.local()


class Call:
    """What one thread is doing, from `with` to its end. Another thread may cut it off."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._over = False

    def __enter__(self) -> Self:
        _here.call = self
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        _here.call = None
        with self._lock:
            self._socket = None  # goes back to its pool, and is somebody else's from now on

    def watch(self, connected: socket.socket) -> None:
        """Takes note of what the call waits for. Raises TimeoutError when it has been cut off."""
        with self._lock:
            if self._over:
                raise TimeoutError("the call was cut off")
            self._socket = connected

    def cut(self) -> None:
        """Whatever the call waits for ends now, and nothing new begins; without effect when it is over."""
        with self._lock:
            self._over = True
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    # Not SSLSocket's own, which takes the TLS state away from under the thread that reads.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def _watch(connected: Any) -> None:
    call: Call | None = getattr(_here, "call", None)
    if call is not None and connected is not None:
        call.watch(connected)


class _Plain(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        _watch(self.sock)

    def request(self, *args: Any, **options: Any) -> None:
        _watch(self.sock)
        super().request(*args, **options)


class _Secure(HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        _watch(self.sock)

    def request(self, *args: Any, **options: Any) -> None:
        _watch(self.sock)
        super().request(*args, **options)


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure


class Cuttable(HTTPAdapter):
    """To be mounted on a session; never tries again."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Called by `requests`."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}
