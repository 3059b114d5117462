"""Object storage on the real emulator, and on servers that are down, slow or lie."""

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
from tests.envoys import find_free_ports
from tests.fault_proxy import Fault, FaultProxy
from tests.wait import wait_until

NOW = timedelta(seconds=-60)
"""A grace period that everything is older than."""

HOUR = timedelta(hours=1)

OPERATIONS: dict[str, Callable[[ObjectStore], Awaitable[object]]] = {
    "put": lambda objects: objects.put("faults/new", b"data", "image/webp"),
    "get": lambda objects: objects.get("faults/there"),
    "delete": lambda objects: objects.delete("faults/gone"),
    "names": lambda objects: objects.list_names("faults/", NOW),
}


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The emulator's port."""
    folder: Path = tmp_path_factory.mktemp("storage")
    (folder / BUCKET).mkdir()
    (port,) = find_free_ports(1)
    (program,) = OBJECT_STORAGE_BIN_DIR.iterdir()
    options = {"scheme": "http", "host": "127.0.0.1", "port": port, "filesystem-root": folder, "log-level": "error"}
    with subprocess.Popen([str(program), *(f"-{name}={value}" for name, value in options.items())]) as process:

        def ready() -> bool:
            try:
                return httpx.get(f"http://127.0.0.1:{port}/storage/v1/b/{BUCKET}", trust_env=False).is_success
            except httpx.TransportError:
                return False

        try:
            wait_until("the emulator answers", ready)
            yield port
        finally:
            process.terminate()


@pytest.fixture
def proxy(emulator: int) -> Iterator[FaultProxy]:
    with FaultProxy("127.0.0.1", emulator) as made:
        yield made


def at(port: int, bucket: str = BUCKET) -> ObjectStore:
    return ObjectStore(bucket, f"http://127.0.0.1:{port}")


@pytest.fixture
def objects(proxy: FaultProxy) -> Iterator[ObjectStore]:
    made = at(proxy.port)
    yield made
    made.close()


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    assert module.SOCKET_TIMEOUT_S < module.TOTAL_TIMEOUT_S <= 5
    monkeypatch.setattr(module, "SOCKET_TIMEOUT_S", 0.6)
    monkeypatch.setattr(module, "TOTAL_TIMEOUT_S", 1.0)


async def refused(work: Awaitable[object]) -> None:
    """It is refused within the deadline."""
    began = time.monotonic()
    with pytest.raises(StorageUnavailable) as caught:
        await work
    assert caught.value.retry_after
    assert time.monotonic() - began < module.TOTAL_TIMEOUT_S + 0.5


async def test_an_object_comes_and_goes(objects: ObjectStore, emulator: int) -> None:
    assert await objects.get("a/b c") is None
    await objects.put("a/b c", b"\x00data", "image/webp")
    assert await objects.get("a/b c") == b"\x00data"
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"http://127.0.0.1:{emulator}/storage/v1/b/{BUCKET}/o/a%2Fb%20c")
    about = answer.json()
    assert (about["contentType"], about["cacheControl"]) == ("image/webp", CACHE_CONTROL)
    assert await objects.delete("a/b c")
    assert not await objects.delete("a/b c")
    assert await objects.get("a/b c") is None


async def test_no_object_is_written_over(objects: ObjectStore) -> None:
    await objects.put("taken", b"first", "image/webp")
    with pytest.raises(FileExistsError):
        await objects.put("taken", b"second", "image/webp")
    assert await objects.get("taken") == b"first"


async def test_what_is_too_large_is_not_sent(objects: ObjectStore) -> None:
    with pytest.raises(ValueError, match="more than an object may have"):
        await objects.put("large", bytes(MAX_OBJECT_BYTES + 1), "image/webp")
    assert await objects.get("large") is None
    await objects.put("largest", bytes(MAX_OBJECT_BYTES), "image/webp")
    assert await objects.get("largest") == bytes(MAX_OBJECT_BYTES)


async def test_names_come_by_prefix_and_age_from_every_page(
    objects: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE_SIZE", 2)
    wanted = [f"pages/{number}" for number in range(5)]
    for name in [*wanted, "pagesnot/1"]:
        await objects.put(name, b"x", "image/webp")
    assert sorted(await objects.list_names("pages/", NOW)) == wanted
    assert await objects.list_names("pages/", HOUR) == []
    assert await objects.list_names("nothing/", NOW) == []


async def test_without_its_bucket_storage_is_away(emulator: int) -> None:
    objects = at(emulator, "another")
    await refused(objects.put("a", b"x", "image/webp"))
    await refused(objects.list_names("a", NOW))
    objects.close()


@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize("operation", [*OPERATIONS])
async def test_faults_are_refused_in_time_and_pass(objects: ObjectStore, proxy: FaultProxy, operation: str) -> None:
    if await objects.get("faults/there") is None:
        await objects.put("faults/there", b"there", "image/webp")
    for fault in (Fault.DOWN, Fault.UNRESPONSIVE, Fault.DROP_RESPONSE):
        proxy.set_fault(fault)
        await refused(OPERATIONS[operation](objects))
    proxy.set_fault(Fault.NONE)
    assert await objects.get("faults/there") == b"there"
    await objects.delete("faults/new")
    await OPERATIONS[operation](objects)
    await objects.delete("faults/new")


@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize("operation", [*OPERATIONS])
async def test_nothing_goes_on_behind_our_back(objects: ObjectStore, proxy: FaultProxy, operation: str) -> None:
    proxy.set_fault(Fault.UNRESPONSIVE)
    await refused(OPERATIONS[operation](objects))
    proxy.set_fault(Fault.NONE)
    strangers = {thread.name for thread in threading.enumerate() if "_fetch_background" in thread.name}
    assert strangers == set()


async def test_nobody_listens() -> None:
    (port,) = find_free_ports(1)
    objects = at(port)
    for operation in OPERATIONS.values():
        await refused(operation(objects))
    objects.close()


@asynccontextmanager
async def answering(answer: bytes, drip: bytes = b"") -> AsyncIterator[ObjectStore]:
    """A storage that answers every request alike, and then goes on with a piece every tenth of a second, for ever."""
    end = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            while drip and not end.is_set():
                writer.write(drip)
                await writer.drain()
                await asyncio.wait([waiting], timeout=0.1)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    waiting = asyncio.create_task(end.wait())
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    objects = at(server.sockets[0].getsockname()[1])
    try:
        yield objects
    finally:
        end.set()
        await waiting
        objects.close()
        server.close()
        await server.wait_closed()


def reply(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


EVERYWHERE = {
    "noise": b"\x00\xff" * 4000,
    "empty": b"",
    "half": b'HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"items": [',
    "error": reply(b"<html>", status="500 Oops"),
    "forbidden": reply(b"{}", status="403 Forbidden"),
    "busy": reply(b"", status="429 Too Many Requests"),
    "elsewhere": reply(b"", "Location: http://127.0.0.1:1/", status="302 Found"),
    "endless header": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000,
    "no gzip": reply(b"plain", "Content-Encoding: gzip"),
}

JSON = {
    "list": b"[]",
    "null": b"null",
    "deep": b"[" * 100_000,
    "text": b"hello",
    "not utf-8": b'{"items": "\xff"}',
    "numbers": b'{"items": [7], "name": 7, "md5Hash": 7}',
    "nameless": b'{"items": [{}]}',
    "ageless": b'{"items": [{"name": "faults/a"}]}',
    "not asked for": json.dumps({"items": [{"name": "avatars/a", "timeCreated": "2020-01-01T00:00:00Z"}]}).encode(),
}


@pytest.mark.parametrize("operation", [*OPERATIONS])
@pytest.mark.parametrize("lie", [*EVERYWHERE])
async def test_lies(operation: str, lie: str) -> None:
    async with answering(EVERYWHERE[lie]) as objects:
        await refused(OPERATIONS[operation](objects))


@pytest.mark.parametrize("operation", ["put", "names"])
@pytest.mark.parametrize("lie", [*JSON])
async def test_lies_in_json(operation: str, lie: str) -> None:
    async with answering(reply(JSON[lie], "Content-Type: application/json")) as objects:
        await refused(OPERATIONS[operation](objects))


async def test_nobody_is_sent_elsewhere() -> None:
    async with answering(reply(b"stolen")) as elsewhere:
        assert await elsewhere.get("a") == b"stolen"
        where = f"Location: {elsewhere._client.api_endpoint}/a"
        async with answering(reply(b"", where, status="302 Found")) as objects:
            await refused(objects.get("a"))


async def test_other_bytes_than_the_storage_says() -> None:
    async with answering(reply(b"data", "X-Goog-Hash: md5=AAAAAAAAAAAAAAAAAAAAAA==,crc32c=AAAAAA==")) as objects:
        await refused(objects.get("a"))


async def test_more_than_an_object_may_have() -> None:
    async with answering(reply(bytes(MAX_OBJECT_BYTES + 1))) as objects:
        await refused(objects.get("a"))


async def test_a_list_without_end_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PAGES", 3)
    old = "2020-01-01T00:00:00Z"
    page = json.dumps({"items": [{"name": "a/b", "timeCreated": old}], "nextPageToken": "again"}).encode()
    async with answering(reply(page, "Content-Type: application/json")) as objects:
        assert await objects.list_names("a/", NOW) == ["a/b"] * 3


@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize("operation", [*OPERATIONS])
@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"])
async def test_drops_keep_no_thread(operation: str, answer: bytes) -> None:
    """Each piece comes in time, and the whole never does: whoever waits is told, and the threads are free again."""
    drip = b"x" if answer.endswith(b"\r\n\r\n") else b"X-A: b\r\n"
    async with answering(answer, drip) as objects:
        await asyncio.gather(*(refused(OPERATIONS[operation](objects)) for _ in range(MAX_CONCURRENT)))
        loop = asyncio.get_running_loop()
        together = asyncio.gather(*(loop.run_in_executor(objects._executor, str) for _ in range(MAX_CONCURRENT)))
        assert await asyncio.wait_for(together, 5) == [""] * MAX_CONCURRENT


async def test_whoever_leaves_takes_the_call_along(proxy: FaultProxy, objects: ObjectStore) -> None:
    proxy.set_fault(Fault.UNRESPONSIVE)
    waiting = [asyncio.create_task(objects.get("a")) for _ in range(MAX_CONCURRENT)]
    await asyncio.wait(waiting, timeout=0.2)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert all(task.cancelled() for task in waiting)
    proxy.set_fault(Fault.NONE)
    assert await asyncio.wait_for(objects.get("a"), 2) is None


async def test_orphans_are_removed_once_by_many(objects: ObjectStore) -> None:
    for number in range(10):
        await objects.put(f"sweep/{number}", b"x", "image/webp")
    await objects.put("kept/1", b"x", "image/webp")
    known = {"sweep/3", "sweep/never"}
    assert await delete_orphans(objects, known, "sweep/", HOUR) == 0
    removed = await asyncio.gather(*(delete_orphans(objects, known, "sweep/", NOW) for _ in range(3)))
    assert sum(removed) == 9
    assert await objects.list_names("sweep/", NOW) == ["sweep/3"]
    assert await objects.list_names("kept/", NOW) == ["kept/1"]


async def test_who_points_is_asked_after_the_list(objects: ObjectStore) -> None:
    await objects.put("late/orphan", b"x", "image/webp")

    async def known() -> AsyncIterator[str]:
        await objects.put("late/new", b"x", "image/webp")  # would be listed had the list not been made before
        yield "late/none"

    assert await delete_orphans(objects, known(), "late/", NOW) == 1
    assert await objects.list_names("late/", NOW) == ["late/new"]


async def test_nothing_is_removed_when_nobody_knows_who_points(objects: ObjectStore) -> None:
    await objects.put("unsure/1", b"x", "image/webp")

    async def known() -> AsyncIterator[str]:
        yield "unsure/2"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await delete_orphans(objects, known(), "unsure/", NOW)
    assert await objects.list_names("unsure/", NOW) == ["unsure/1"]
