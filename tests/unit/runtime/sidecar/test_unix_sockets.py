import socket
from pathlib import Path

import pytest

from services.runtime.sidecar.unix_sockets import SocketInUseError, get_unary_socket_path, remove_stale_socket


def test_socket_of_killed_process_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as stale_socket:
        stale_socket.bind(str(path))
    remove_stale_socket(path)
    assert not path.exists()
    remove_stale_socket(path)


def test_socket_of_running_process_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        with pytest.raises(SocketInUseError, match="another process"):
            remove_stale_socket(path)
    assert path.exists()


def test_regular_file_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    path.write_text("precious", encoding="utf-8")
    with pytest.raises(SocketInUseError, match="not a socket"):
        remove_stale_socket(path)


def test_socket_for_unary_calls_is_beside_the_service_socket() -> None:
    assert get_unary_socket_path(Path("/run/orders.sock")) == Path("/run/orders-http1.sock")
