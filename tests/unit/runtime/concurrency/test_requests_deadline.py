"""Calls that another thread aborts: tracked sockets, and sessions with the adapter."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest
import requests

from services.runtime.concurrency.requests_deadline import AbortableAdapter, AbortableCall


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected sockets: the one of a call, and its peer."""
    call_socket, peer = socket.socketpair()
    with call_socket, peer:
        yield call_socket, peer


def has_end_of_stream(peer: socket.socket) -> bool:
    peer.setblocking(False)
    try:
        return peer.recv(1) == b""
    except BlockingIOError:
        return False


def test_abort_shuts_down_the_socket(pair: tuple[socket.socket, socket.socket]) -> None:
    with AbortableCall() as call:
        call.track(pair[0])
        assert not has_end_of_stream(pair[1])
        call.abort()
        assert has_end_of_stream(pair[1])


def test_abort_interrupts_a_blocked_read(pair: tuple[socket.socket, socket.socket]) -> None:
    call = AbortableCall()
    received: list[bytes] = []
    tracked = threading.Event()

    def read() -> None:
        with call:
            call.track(pair[0])
            tracked.set()
            received.append(pair[0].recv(1))

    thread = threading.Thread(target=read)
    thread.start()
    tracked.wait()
    call.abort()
    thread.join(5)
    assert received == [b""]


def test_request_after_abort_is_rejected(pair: tuple[socket.socket, socket.socket]) -> None:
    with AbortableCall() as call:
        call.abort()
        with pytest.raises(TimeoutError, match="call aborted"):
            call.track(pair[0])
        assert not has_end_of_stream(pair[1])


def test_abort_after_the_end_leaves_the_pooled_socket(pair: tuple[socket.socket, socket.socket]) -> None:
    """Another call may already use the socket, which has returned to the connection pool."""
    with AbortableCall() as call:
        call.track(pair[0])
    call.abort()
    assert not has_end_of_stream(pair[1])


def test_abort_of_closed_socket_is_ignored(pair: tuple[socket.socket, socket.socket]) -> None:
    with AbortableCall() as call:
        call.track(pair[0])
        pair[0].close()
        call.abort()


def test_latest_socket_of_a_call_is_closed(pair: tuple[socket.socket, socket.socket]) -> None:
    with AbortableCall() as call:
        call.track(pair[1])
        call.track(pair[0])
        call.abort()
    assert has_end_of_stream(pair[1])


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Socket that accepts connections and never responds."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def get_url(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}/"


@pytest.fixture
def session() -> Iterator[requests.Session]:
    """Session with the adapter for both schemes."""
    with requests.Session() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, AbortableAdapter())
        session.trust_env = False
        yield session


def test_aborted_request_fails_before_its_own_timeout(session: requests.Session, listener: socket.socket) -> None:
    call = AbortableCall()

    def accept_and_abort() -> None:
        with contextlib.closing(listener.accept()[0]) as connection:
            connection.recv(4096)
            call.abort()

    thread = threading.Thread(target=accept_and_abort)
    thread.start()
    with call, pytest.raises(requests.ConnectionError):
        session.get(get_url(listener), timeout=60)
    thread.join(5)


def test_request_of_aborted_call_is_not_sent(session: requests.Session, listener: socket.socket) -> None:
    with AbortableCall() as call:
        call.abort()
        with pytest.raises(requests.exceptions.RequestException, match="call aborted"):
            session.get(get_url(listener), timeout=60)


def test_request_outside_a_call_is_unaffected(session: requests.Session, listener: socket.socket) -> None:
    with AbortableCall() as call:
        pass
    call.abort()
    with pytest.raises(requests.ReadTimeout):
        session.get(get_url(listener), timeout=0.01)


def test_https_connections_are_tracked(session: requests.Session, listener: socket.socket) -> None:
    pool = session.get_adapter("https://bucket.test").poolmanager.connection_from_url("https://bucket.test")  # type: ignore[attr-defined]
    assert hasattr(pool.ConnectionCls, "request")
    assert pool.ConnectionCls.__module__ == AbortableCall.__module__
