"""Object storage client with the emulator, and with servers that are unavailable, slow or return invalid responses."""

import asyncio
import json
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from deploy.local.infrastructure.servers import BUCKET, OBJECT_STORAGE_BIN_DIR
from services.runtime.storage import object_storage as module
from services.runtime.storage.object_storage import (
    CACHE_CONTROL,
    MAX_CONCURRENT,
    MAX_OBJECT_BYTES,
    ObjectStore,
    StorageUnavailable,
    delete_orphans,
)
from tests.fault_proxy import Fault, FaultProxy
from tests.free_ports import find_free_port
from tests.wait import wait_until

NO_MIN_AGE = timedelta(seconds=-60)
"""Minimum age that every object has."""

ONE_HOUR = timedelta(hours=1)

OPERATIONS: dict[str, Callable[[ObjectStore], Awaitable[object]]] = {
    "put": lambda object_store: object_store.put("faults/new", b"data", "image/webp"),
    "get": lambda object_store: object_store.get("faults/existing"),
    "delete": lambda object_store: object_store.delete("faults/missing"),
    "list_names": lambda object_store: object_store.list_names("faults/", NO_MIN_AGE),
}


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Run the emulator and return its port."""
    folder: Path = tmp_path_factory.mktemp("storage")
    (folder / BUCKET).mkdir()
    port = find_free_port()
    (program,) = OBJECT_STORAGE_BIN_DIR.iterdir()
    options = {"scheme": "http", "host": "127.0.0.1", "port": port, "filesystem-root": folder, "log-level": "error"}
    with subprocess.Popen([str(program), *(f"-{name}={value}" for name, value in options.items())]) as process:

        def is_ready() -> bool:
            try:
                return httpx.get(f"http://127.0.0.1:{port}/storage/v1/b/{BUCKET}", trust_env=False).is_success
            except httpx.TransportError:
                return False

        try:
            wait_until(is_ready, description="the emulator is ready")
            yield port
        finally:
            process.terminate()


@pytest.fixture
def proxy(emulator: int) -> Iterator[FaultProxy]:
    with FaultProxy("127.0.0.1", emulator) as fault_proxy:
        yield fault_proxy


def create_object_store(port: int, bucket: str = BUCKET) -> ObjectStore:
    return ObjectStore(bucket, f"http://127.0.0.1:{port}")


@pytest.fixture
def object_store(proxy: FaultProxy) -> Iterator[ObjectStore]:
    object_store = create_object_store(proxy.port)
    yield object_store
    object_store.close()


@pytest.fixture
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert module.SOCKET_TIMEOUT_S < module.TOTAL_TIMEOUT_S <= 5
    monkeypatch.setattr(module, "SOCKET_TIMEOUT_S", 0.6)
    monkeypatch.setattr(module, "TOTAL_TIMEOUT_S", 1.0)


async def assert_unavailable(operation: Awaitable[object]) -> None:
    """Check that the operation raises StorageUnavailable within the total timeout."""
    started_at = time.monotonic()
    with pytest.raises(StorageUnavailable) as error:
        await operation
    assert error.value.retry_after
    assert time.monotonic() - started_at < module.TOTAL_TIMEOUT_S + 0.5


async def test_put_get_and_delete(object_store: ObjectStore, emulator: int) -> None:
    assert await object_store.get("a/b c") is None
    await object_store.put("a/b c", b"\x00data", "image/webp")
    assert await object_store.get("a/b c") == b"\x00data"
    async with httpx.AsyncClient(trust_env=False) as client:
        response = await client.get(f"http://127.0.0.1:{emulator}/storage/v1/b/{BUCKET}/o/a%2Fb%20c")
    metadata = response.json()
    assert (metadata["contentType"], metadata["cacheControl"]) == ("image/webp", CACHE_CONTROL)
    assert await object_store.delete("a/b c")
    assert not await object_store.delete("a/b c")
    assert await object_store.get("a/b c") is None


async def test_put_existing_name_raises_file_exists_error(object_store: ObjectStore) -> None:
    await object_store.put("existing", b"first", "image/webp")
    with pytest.raises(FileExistsError):
        await object_store.put("existing", b"second", "image/webp")
    assert await object_store.get("existing") == b"first"


async def test_put_oversized_object_raises_value_error(object_store: ObjectStore) -> None:
    with pytest.raises(ValueError, match="object too large"):
        await object_store.put("large", bytes(MAX_OBJECT_BYTES + 1), "image/webp")
    assert await object_store.get("large") is None
    await object_store.put("largest", bytes(MAX_OBJECT_BYTES), "image/webp")
    assert await object_store.get("largest") == bytes(MAX_OBJECT_BYTES)


async def test_list_names_filters_by_prefix_and_age_on_all_pages(
    object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE_SIZE", 2)
    names = [f"pages/{number}" for number in range(5)]
    for name in [*names, "pagesnot/1"]:
        await object_store.put(name, b"x", "image/webp")
    assert sorted(await object_store.list_names("pages/", NO_MIN_AGE)) == names
    assert await object_store.list_names("pages/", ONE_HOUR) == []
    assert await object_store.list_names("nothing/", NO_MIN_AGE) == []


async def test_missing_bucket_raises_storage_unavailable(emulator: int) -> None:
    object_store = create_object_store(emulator, "another")
    await assert_unavailable(object_store.put("a", b"x", "image/webp"))
    await assert_unavailable(object_store.list_names("a", NO_MIN_AGE))
    object_store.close()


@pytest.mark.usefixtures("short_timeouts")
@pytest.mark.parametrize("operation", [*OPERATIONS])
async def test_faults_raise_storage_unavailable_and_recover(
    object_store: ObjectStore, proxy: FaultProxy, operation: str
) -> None:
    if await object_store.get("faults/existing") is None:
        await object_store.put("faults/existing", b"data", "image/webp")
    for fault in (Fault.DOWN, Fault.UNRESPONSIVE, Fault.DROP_RESPONSE):
        proxy.set_fault(fault)
        await assert_unavailable(OPERATIONS[operation](object_store))
    proxy.set_fault(Fault.NONE)
    assert await object_store.get("faults/existing") == b"data"
    await object_store.delete("faults/new")
    await OPERATIONS[operation](object_store)
    await object_store.delete("faults/new")


@pytest.mark.usefixtures("short_timeouts")
@pytest.mark.parametrize("operation", [*OPERATIONS])
async def test_no_background_threads_after_timeout(
    object_store: ObjectStore, proxy: FaultProxy, operation: str
) -> None:
    proxy.set_fault(Fault.UNRESPONSIVE)
    await assert_unavailable(OPERATIONS[operation](object_store))
    proxy.set_fault(Fault.NONE)
    background_threads = {thread.name for thread in threading.enumerate() if "_fetch_background" in thread.name}
    assert background_threads == set()


async def test_connection_failure_raises_storage_unavailable() -> None:
    port = find_free_port()
    object_store = create_object_store(port)
    for operation in OPERATIONS.values():
        await assert_unavailable(operation(object_store))
    object_store.close()


@asynccontextmanager
async def fake_storage(response: bytes, drip: bytes = b"") -> AsyncIterator[ObjectStore]:
    """Run a server that sends the same response to every request, and then `drip` every 0.1 s without end."""
    stopped = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(response)
            while drip and not stopped.is_set():
                writer.write(drip)
                await writer.drain()
                await asyncio.wait([stop_task], timeout=0.1)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    stop_task = asyncio.create_task(stopped.wait())
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    object_store = create_object_store(server.sockets[0].getsockname()[1])
    try:
        yield object_store
    finally:
        stopped.set()
        await stop_task
        object_store.close()
        server.close()
        await server.wait_closed()


def build_response(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


MALFORMED_RESPONSES = {
    "random bytes": b"\x00\xff" * 4000,
    "empty": b"",
    "truncated": b'HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"items": [',
    "error": build_response(b"<html>", status="500 Oops"),
    "forbidden": build_response(b"{}", status="403 Forbidden"),
    "rate limited": build_response(b"", status="429 Too Many Requests"),
    "redirect": build_response(b"", "Location: http://127.0.0.1:1/", status="302 Found"),
    "endless header": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000,
    "invalid gzip": build_response(b"plain", "Content-Encoding: gzip"),
}

MALFORMED_JSON = {
    "list": b"[]",
    "null": b"null",
    "deep": b"[" * 100_000,
    "text": b"hello",
    "not utf-8": b'{"items": "\xff"}',
    "numbers": b'{"items": [7], "name": 7, "md5Hash": 7}',
    "nameless": b'{"items": [{}]}',
    "ageless": b'{"items": [{"name": "faults/a"}]}',
    "other prefix": json.dumps({"items": [{"name": "avatars/a", "timeCreated": "2020-01-01T00:00:00Z"}]}).encode(),
}


@pytest.mark.parametrize("operation", [*OPERATIONS])
@pytest.mark.parametrize("name", [*MALFORMED_RESPONSES])
async def test_malformed_response_raises_storage_unavailable(operation: str, name: str) -> None:
    async with fake_storage(MALFORMED_RESPONSES[name]) as object_store:
        await assert_unavailable(OPERATIONS[operation](object_store))


@pytest.mark.parametrize("operation", ["put", "list_names"])
@pytest.mark.parametrize("name", [*MALFORMED_JSON])
async def test_malformed_json_raises_storage_unavailable(operation: str, name: str) -> None:
    async with fake_storage(build_response(MALFORMED_JSON[name], "Content-Type: application/json")) as object_store:
        await assert_unavailable(OPERATIONS[operation](object_store))


async def test_redirects_are_not_followed() -> None:
    async with fake_storage(build_response(b"data")) as redirect_target:
        assert await redirect_target.get("a") == b"data"
        location = f"Location: {redirect_target._client.api_endpoint}/a"
        async with fake_storage(build_response(b"", location, status="302 Found")) as object_store:
            await assert_unavailable(object_store.get("a"))


async def test_checksum_mismatch_raises_storage_unavailable() -> None:
    async with fake_storage(
        build_response(b"data", "X-Goog-Hash: md5=AAAAAAAAAAAAAAAAAAAAAA==,crc32c=AAAAAA==")
    ) as object_store:
        await assert_unavailable(object_store.get("a"))


async def test_oversized_download_raises_storage_unavailable() -> None:
    async with fake_storage(build_response(bytes(MAX_OBJECT_BYTES + 1))) as object_store:
        await assert_unavailable(object_store.get("a"))


async def test_number_of_listed_pages_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PAGES", 3)
    old = "2020-01-01T00:00:00Z"
    page = json.dumps({"items": [{"name": "a/b", "timeCreated": old}], "nextPageToken": "again"}).encode()
    async with fake_storage(build_response(page, "Content-Type: application/json")) as object_store:
        assert await object_store.list_names("a/", NO_MIN_AGE) == ["a/b"] * 3


@pytest.mark.usefixtures("short_timeouts")
@pytest.mark.parametrize("operation", [*OPERATIONS])
@pytest.mark.parametrize("response", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"])
async def test_slow_response_does_not_occupy_thread(operation: str, response: bytes) -> None:
    """Every read succeeds within its timeout but the response never ends: the total timeout applies."""
    drip = b"x" if response.endswith(b"\r\n\r\n") else b"X-A: b\r\n"
    async with fake_storage(response, drip) as object_store:
        await asyncio.gather(*(assert_unavailable(OPERATIONS[operation](object_store)) for _ in range(MAX_CONCURRENT)))
        loop = asyncio.get_running_loop()
        calls = asyncio.gather(*(loop.run_in_executor(object_store._executor, str) for _ in range(MAX_CONCURRENT)))
        assert await asyncio.wait_for(calls, 5) == [""] * MAX_CONCURRENT


async def test_cancellation_aborts_request(proxy: FaultProxy, object_store: ObjectStore) -> None:
    proxy.set_fault(Fault.UNRESPONSIVE)
    tasks = [asyncio.create_task(object_store.get("a")) for _ in range(MAX_CONCURRENT)]
    await asyncio.wait(tasks, timeout=0.2)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert all(task.cancelled() for task in tasks)
    proxy.set_fault(Fault.NONE)
    assert await asyncio.wait_for(object_store.get("a"), 2) is None


async def test_concurrent_delete_orphans_deletes_each_object_once(object_store: ObjectStore) -> None:
    for number in range(10):
        await object_store.put(f"sweep/{number}", b"x", "image/webp")
    await object_store.put("other/1", b"x", "image/webp")
    referenced = {"sweep/3", "sweep/never"}
    assert await delete_orphans(object_store, referenced, "sweep/", ONE_HOUR) == 0
    deleted = await asyncio.gather(*(delete_orphans(object_store, referenced, "sweep/", NO_MIN_AGE) for _ in range(3)))
    assert sum(deleted) == 9
    assert await object_store.list_names("sweep/", NO_MIN_AGE) == ["sweep/3"]
    assert await object_store.list_names("other/", NO_MIN_AGE) == ["other/1"]


async def test_references_are_read_after_listing(object_store: ObjectStore) -> None:
    await object_store.put("late/orphan", b"x", "image/webp")

    async def read_references() -> AsyncIterator[str]:
        await object_store.put("late/new", b"x", "image/webp")  # created after the listing
        yield "late/none"

    assert await delete_orphans(object_store, read_references(), "late/", NO_MIN_AGE) == 1
    assert await object_store.list_names("late/", NO_MIN_AGE) == ["late/new"]


async def test_nothing_is_deleted_if_reading_references_fails(object_store: ObjectStore) -> None:
    await object_store.put("unknown/1", b"x", "image/webp")

    async def read_references() -> AsyncIterator[str]:
        yield "unknown/2"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await delete_orphans(object_store, read_references(), "unknown/", NO_MIN_AGE)
    assert await object_store.list_names("unknown/", NO_MIN_AGE) == ["unknown/1"]
