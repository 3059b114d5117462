"""Unix sockets on which a process listens for its sidecar."""

import socket
import stat
from pathlib import Path


class SocketInUseError(Exception):
    """Another process listens on the socket, or the path is not a socket."""


def remove_stale_socket(path: Path) -> None:
    """Remove the socket of a killed process.

    Raises SocketInUseError when a process listens on it or the path is not a socket.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise SocketInUseError(f"{path} is not a socket; remove it")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise SocketInUseError(f"another process listens on {path}")


def get_unary_socket_path(service_socket: Path) -> Path:
    """Return the socket on which a service serves unary RPCs over HTTP/1.1: loans-http1.sock beside loans.sock."""
    return service_socket.with_name(f"{service_socket.stem}-http1.sock")
