"""Google Cloud Storage, off the event loop: the SDK blocks, and its own retries would outlive every deadline."""

import asyncio
import base64
import hashlib
import io
import os
from collections.abc import AsyncIterable, Callable, Set
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from google.api_core.exceptions import NotFound, PreconditionFailed
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from pydantic import Field

from generated.problems import Reason
from services.runtime.config.production_checks import EMULATED
from services.runtime.config.settings import ServiceSettings
from services.runtime.core.errors import ApiError
from services.runtime.storage.requests_deadline import AbortableAdapter, AbortableCall
from services.runtime.telemetry import tracing

SOCKET_TIMEOUT_S = 3.0
"""Seconds that storage may take to connect, and between two pieces of an answer."""

TOTAL_TIMEOUT_S = 5.0
"""Seconds that anybody waits for a whole one, a free thread included."""

MAX_CONCURRENT = 8

MAX_OBJECT_BYTES = 8 * 1024 * 1024
"""What an object may have; more of it is never held."""

PAGE_SIZE = 1000
MAX_PAGES = 1000
"""How many names are asked for at a time, and how often at most for one list."""

CACHE_CONTROL = "private, max-age=31536000, immutable"
"""A name is never given to other bytes."""

GOOGLE_URL = "https://storage.googleapis.com"
EMULATOR_VARIABLE = "STORAGE_EMULATOR_HOST"


class StorageUnavailable(ApiError):
    """Storage is down, slow or answers nonsense; never raised later than PATIENCE."""

    def __init__(self) -> None:
        super().__init__(Reason.UPSTREAM_UNAVAILABLE, "Object storage is away.", retry_after=2)


class StorageSettings(ServiceSettings):
    """What a service with pictures is told on top."""

    storage_bucket: str = Field(description="the bucket of pictures in Google Cloud Storage")
    storage_url: str = Field(
        default="",
        json_schema_extra=EMULATED,
        description="where Google Cloud Storage is played; empty for Google itself",
    )


class ObjectStore:
    """One bucket. `emulator` is where it is played; empty for Google itself, with the machine's own credentials."""

    def __init__(self, bucket: str, emulator_url: str = "") -> None:
        """Raises ValueError when the SDK would go elsewhere than it is told."""
        if not emulator_url and os.environ.get(EMULATOR_VARIABLE):
            raise ValueError(f"{EMULATOR_VARIABLE} is set, and Google's storage is asked for")
        options = {"api_endpoint": emulator_url or GOOGLE_URL}
        if emulator_url:
            credentials = AnonymousCredentials()  # type: ignore[no-untyped-call]
            client = storage.Client("local", credentials, client_options=options)
        else:
            client = storage.Client(client_options=options)
        client._bucket_metadata_cache = None  # or the SDK asks about the bucket in threads that nobody ends
        session = client._http
        session.max_redirects = 0
        session.trust_env = session.trust_env and not emulator_url
        for scheme in ("http://", "https://"):
            session.mount(scheme, AbortableAdapter(pool_maxsize=MAX_CONCURRENT))
        self._client = client
        self._bucket = client.bucket(bucket)
        self._executor = ThreadPoolExecutor(MAX_CONCURRENT, thread_name_prefix="objects")

    def close(self) -> None:
        """Closes every connection; what is under way is not waited for."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    async def put(self, name: str, data: bytes, media_type: str) -> None:
        """Stores an object; what the storage says of it proves that it is there.

        Raises FileExistsError for a name that is taken, ValueError for more than MAX_BYTES, StorageUnavailable.
        """
        if len(data) > MAX_OBJECT_BYTES:
            raise ValueError(f"{len(data)} bytes are more than an object may have")
        digest = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()

        def call() -> bool:
            blob = self._bucket.blob(name)
            blob.cache_control = CACHE_CONTROL
            try:
                blob.upload_from_string(data, media_type, if_generation_match=0, timeout=SOCKET_TIMEOUT_S, retry=None)
            except PreconditionFailed:
                return False
            if blob.md5_hash != digest:
                raise ValueError("the storage says that it has something else")
            return True

        if not await self._run_in_thread("put", call):
            raise FileExistsError(name)

    async def get(self, name: str) -> bytes | None:
        """The object's bytes; None when it is not there. Raises StorageUnavailable, for more than MAX_BYTES too."""

        def call() -> bytes | None:
            content = _BoundedBuffer()
            try:
                self._bucket.blob(name).download_to_file(content, timeout=SOCKET_TIMEOUT_S, retry=None)
            except NotFound:
                return None
            return content.getvalue()

        return await self._run_in_thread("get", call)

    async def delete(self, name: str) -> bool:
        """Removes an object; whether it was there. Raises StorageUnavailable."""

        def call() -> bool:
            try:
                self._bucket.blob(name).delete(timeout=SOCKET_TIMEOUT_S, retry=None)
            except NotFound:
                return False
            return True

        return await self._run_in_thread("delete", call)

    async def list_names(self, prefix: str, min_age: timedelta) -> list[str]:
        """The objects below a prefix that have been there for so long. Each page has PATIENCE of its own.

        Raises StorageUnavailable, also for names that were not asked for.
        """
        before = datetime.now(UTC) - min_age
        found: list[str] = []
        token: str | None = None
        for _ in range(MAX_PAGES):
            page, token = await self._list_page(prefix, before, token)
            found += page
            if token is None:
                break
        return found

    async def _list_page(
        self, prefix: str, created_before: datetime, page_token: str | None
    ) -> tuple[list[str], str | None]:
        def call() -> tuple[list[str], str | None]:
            pages = self._client.list_blobs(
                self._bucket,
                prefix=prefix,
                page_token=page_token,
                page_size=PAGE_SIZE,
                timeout=SOCKET_TIMEOUT_S,
                retry=None,
            )
            blobs = list(next(pages.pages, ()))
            if not all(blob.name.startswith(prefix) for blob in blobs):
                raise ValueError("the storage lists something else")
            return [blob.name for blob in blobs if blob.time_created < created_before], pages.next_page_token

        return await self._run_in_thread("list", call)

    async def _run_in_thread[T](self, operation: str, call: Callable[[], T]) -> T:
        """Raises StorageUnavailable; what takes too long is cut off, so that it does not keep its thread."""
        watched = AbortableCall()

        def work() -> T:
            with watched:
                try:
                    return call()
                except Exception as error:  # nonsense makes the SDK stumble in any way
                    raise StorageUnavailable from error

        try:
            with tracing.start_peer_span("storage", operation):
                return await asyncio.wait_for(
                    asyncio.get_running_loop().run_in_executor(self._executor, work), TOTAL_TIMEOUT_S
                )
        except TimeoutError as error:
            raise StorageUnavailable from error
        finally:
            watched.abort()


async def delete_orphans(
    object_store: ObjectStore, referenced: Set[str] | AsyncIterable[str], prefix: str, min_age: timedelta
) -> int:
    """Removes objects that nobody points to; how many. Several processes may do so at once.

    `older_than` is longer than it takes from storing an object to pointing to it. An iterator is first asked when the
    names are listed, so that it misses no pointer; if it raises, nothing is removed. Raises StorageUnavailable.
    """
    orphans = set(await object_store.list_names(prefix, min_age))
    if isinstance(referenced, Set):
        orphans -= referenced
    else:
        async for name in referenced:
            orphans.discard(name)
    removed = 0
    for name in sorted(orphans):
        removed += await object_store.delete(name)
    return removed


class _BoundedBuffer(io.BytesIO):
    """Takes MAX_BYTES and no more."""

    def write(self, data: Any, /) -> int:
        if self.tell() + len(data) > MAX_OBJECT_BYTES:
            raise ValueError("the object is larger than any of ours")
        return super().write(data)
