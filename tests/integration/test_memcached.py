"""Memcached client with a real server behind a fault-injecting proxy: errors, timeouts and the event loop."""

import asyncio
import os
import secrets
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from pymemcache.client.base import PooledClient

from deploy.local.pki.certificates import CertificateAuthority
from generated.problems import Reason
from services.runtime.core.errors import ApiError
from services.runtime.storage.memcached import Memcached, MemcachedServer
from tests.fault_proxy import Fault, FaultProxy
from tests.free_ports import find_free_port, is_free
from tests.integration.fixtures.servers import Servers
from tests.wait import wait_until, wait_until_async

TIMEOUT_S = 0.25


@pytest.fixture
def proxy(servers: Servers) -> Iterator[FaultProxy]:
    host, _, port = servers.memcached.address.rpartition(":")
    with FaultProxy(host, int(port)) as proxy:
        yield proxy


@pytest.fixture
def memcached(servers: Servers, proxy: FaultProxy) -> Iterator[Memcached]:
    with closing(connect(servers.memcached._replace(address=f"127.0.0.1:{proxy.port}"))) as client:
        yield client


def connect(server: MemcachedServer) -> Memcached:
    return Memcached(server, collection="test", description="test cache", timeout_s=TIMEOUT_S, max_connections=4)


async def put(memcached: Memcached, key: str = "one") -> bool:
    return bool(await memcached.execute("set", lambda client: client.set(key, b"value", expire=60)))


async def assert_unavailable(memcached: Memcached) -> None:
    started = time.monotonic()
    with pytest.raises(ApiError) as error:
        await put(memcached)
    assert error.value.reason is Reason.UPSTREAM_UNAVAILABLE
    assert error.value.detail == "The test cache is unavailable."
    assert error.value.retry_after
    assert time.monotonic() - started < 4 * TIMEOUT_S


async def measure_event_loop_delay(memcached: Memcached) -> float:
    """Return the longest delay of the event loop, in seconds, during a call of the unavailable server."""
    longest_s, iterated_at, done = 0.0, time.monotonic(), asyncio.Event()

    def is_measured() -> bool:
        nonlocal longest_s, iterated_at
        longest_s, iterated_at = max(longest_s, time.monotonic() - iterated_at), time.monotonic()
        return done.is_set()

    measurement = asyncio.create_task(wait_until_async(is_measured, interval_s=0))
    await asyncio.sleep(0)  # the measurement starts
    await assert_unavailable(memcached)
    done.set()
    await measurement
    return longest_s


async def test_every_fault_is_reported_as_unavailable(memcached: Memcached, proxy: FaultProxy) -> None:
    key = secrets.token_urlsafe()
    assert await put(memcached, key)
    for fault in (Fault.DOWN, Fault.UNRESPONSIVE, Fault.INVALID_RESPONSE, Fault.DROP_RESPONSE):
        proxy.set_fault(fault)
        await assert_unavailable(memcached)
        with pytest.raises(ApiError) as error:
            await memcached.execute_sequence("get", lambda client: client.get(key))
        assert error.value.reason is Reason.UPSTREAM_UNAVAILABLE
    proxy.set_fault(Fault.NONE)
    assert await memcached.execute("get", lambda client: client.get(key)) == b"value"


async def test_sequence_runs_on_one_client_in_a_thread(memcached: Memcached) -> None:
    key, threads = secrets.token_urlsafe(), []

    def count_twice(client: PooledClient) -> int:
        threads.append(threading.current_thread())
        client.add(key, b"1", expire=60)
        return int(client.incr(key, 1))

    assert await memcached.execute_sequence("incr", count_twice) == 2
    assert threading.main_thread() not in threads


async def test_slow_server_blocks_event_loop_at_most_once(memcached: Memcached, proxy: FaultProxy) -> None:
    for _ in range(3):
        await put(memcached)
    proxy.set_fault(Fault.UNRESPONSIVE)
    await assert_unavailable(memcached)
    assert await measure_event_loop_delay(memcached) < TIMEOUT_S


async def test_fast_command_runs_on_event_loop(memcached: Memcached) -> None:
    threads: list[threading.Thread] = []

    def get(client: PooledClient) -> object:
        threads.append(threading.current_thread())
        return client.get("one")

    await put(memcached)
    while threading.main_thread() not in threads:
        assert len(threads) < 100, "no command was fast"
        assert await memcached.execute("get", get) == b"value"


def send(servers: Servers, *commands: bytes) -> list[bytes]:
    """Send commands on one connection, and return the first line of each response."""
    host, _, port = servers.memcached.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=2) as connection, connection.makefile("rwb") as file:
        responses = []
        for command in commands:
            file.write(command)
            file.flush()
            responses.append(file.readline())
        return responses


def test_connection_without_credentials_is_denied(servers: Servers) -> None:
    commands = (b"get one\r\n", b"set one 0 0 1\r\nx\r\n", b"flush_all\r\n", b"stats\r\n", b"version\r\n")
    assert all(response.startswith(b"CLIENT_ERROR") for response in send(servers, *commands))


@pytest.mark.parametrize(
    "changes", [{"password": "wrong"}, {"username": "orders"}, {"password": ""}], ids=["password", "user", "empty"]
)
async def test_wrong_credentials_are_logged_and_reported_as_unavailable(
    servers: Servers, changes: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    with closing(connect(servers.memcached._replace(**changes))) as memcached:
        for _ in range(2):
            await assert_unavailable(memcached)
    assert "authentication at Memcached failed: wrong user or password" in caplog.text
    assert servers.memcached.password not in caplog.text


async def test_every_connection_is_authenticated(memcached: Memcached, proxy: FaultProxy) -> None:
    assert await put(memcached)
    proxy.set_fault(Fault.DOWN)
    await assert_unavailable(memcached)
    proxy.set_fault(Fault.NONE)
    assert all(await asyncio.gather(*(put(memcached, f"key-{number}") for number in range(4))))


@pytest.fixture
def tls_server(tmp_path: Path) -> Iterator[MemcachedServer]:
    """Run a Memcached with a certificate for `localhost`."""
    CertificateAuthority(tmp_path).issue_certificate("memcached", [x509.DNSName("localhost")])
    (tmp_path / "users").write_text("gateway:secret\n", encoding="utf-8")
    port = find_free_port()
    user = ["-u", "root"] if os.geteuid() == 0 else []
    files = f"ssl_chain_cert={tmp_path}/memcached.pem,ssl_key={tmp_path}/memcached.key"
    options = ["-l", "127.0.0.1", "-p", str(port), "-Y", str(tmp_path / "users"), "-Z", "-o", files]
    process = subprocess.Popen(["memcached", *user, *options])
    try:
        wait_until(lambda: not is_free(port), description="Memcached listens")
        context = ssl.create_default_context(cafile=tmp_path / "ca.pem")
        yield MemcachedServer(f"localhost:{port}", "gateway", "secret", context)
    finally:
        process.terminate()
        process.wait(10)


async def test_connection_is_encrypted_and_verified_with_a_ca(tls_server: MemcachedServer) -> None:
    with closing(connect(tls_server)) as client:
        assert await put(client)
        assert await client.execute("get", lambda each: each.get("one")) == b"value"
    changes: tuple[dict[str, Any], ...] = (
        {"tls_context": None},
        {"tls_context": ssl.create_default_context()},
        {"address": tls_server.address.replace("localhost", "127.0.0.1")},
    )
    for each in changes:
        with closing(connect(tls_server._replace(**each))) as client:
            await assert_unavailable(client)
