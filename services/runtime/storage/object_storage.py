"""Client of Google Cloud Storage: the blocking SDK in threads, without its retries and with a total timeout."""

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
from services.runtime.concurrency.requests_deadline import AbortableAdapter, AbortableCall
from services.runtime.config.production_checks import EMULATED
from services.runtime.config.settings import ServiceSettings
from services.runtime.config.urls import OptionalHttpUrl
from services.runtime.core.errors import ApiError
from services.runtime.telemetry import requests_sessions, tracing

SOCKET_TIMEOUT_S = 3.0
"""Timeout to connect, and between two reads of a response, in seconds."""

TOTAL_TIMEOUT_S = 5.0
"""Timeout of a whole operation, including the wait for a free thread, in seconds."""

MAX_CONCURRENT = 8
"""Number of threads, and of connections."""

MAX_OBJECT_BYTES = 8 * 1024 * 1024
"""Maximum size of an object; downloads stop at it."""

PAGE_SIZE = 1000
MAX_PAGES = 1000
"""Names per page, and maximum number of pages of one listing."""

CACHE_CONTROL = "private, max-age=31536000, immutable"
"""Cache-Control of objects, which never change."""

GOOGLE_URL = "https://storage.googleapis.com"
EMULATOR_VARIABLE = "STORAGE_EMULATOR_HOST"


class StorageUnavailable(ApiError):
    """Object storage is unavailable, too slow or returned an invalid response; raised within TOTAL_TIMEOUT_S."""

    def __init__(self) -> None:
        super().__init__(Reason.UPSTREAM_UNAVAILABLE, "Object storage is unavailable.", retry_after=2)


class StorageSettings(ServiceSettings):
    """Settings of a service that stores images."""

    storage_bucket: str = Field(description="the Google Cloud Storage bucket of images")
    storage_url: OptionalHttpUrl = Field(
        default="",
        json_schema_extra=EMULATED,
        description="the URL of an emulator of Google Cloud Storage; empty for Google",
    )


class ObjectStore:
    """Bucket of an emulator or, without `emulator_url`, of Google with the default credentials of the machine."""

    def __init__(self, bucket: str, emulator_url: str = "") -> None:
        """Raises ValueError if the SDK's environment variable would override the endpoint."""
        if not emulator_url and os.environ.get(EMULATOR_VARIABLE):
            raise ValueError(f"{EMULATOR_VARIABLE} is set but no emulator is configured")
        options = {"api_endpoint": emulator_url or GOOGLE_URL}
        if emulator_url:
            credentials = AnonymousCredentials()  # type: ignore[no-untyped-call]
            client = storage.Client("local", credentials, client_options=options)
        else:
            client = storage.Client(client_options=options)
        client._bucket_metadata_cache = None  # otherwise the SDK fetches bucket metadata in background threads
        session = client._http
        session.max_redirects = 0
        session.trust_env = session.trust_env and not emulator_url
        for scheme in ("http://", "https://"):
            session.mount(scheme, AbortableAdapter(pool_maxsize=MAX_CONCURRENT))
        requests_sessions.measure_requests(session)
        self._client = client
        self._bucket = client.bucket(bucket)
        self._executor = ThreadPoolExecutor(MAX_CONCURRENT, thread_name_prefix="objects")

    def close(self) -> None:
        """Close all connections without waiting for operations in progress."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    async def put(self, name: str, data: bytes, media_type: str) -> None:
        """Store an object and verify the checksum that storage returns.

        Raises FileExistsError for an existing name, ValueError for more than MAX_OBJECT_BYTES, StorageUnavailable.
        """
        if len(data) > MAX_OBJECT_BYTES:
            raise ValueError(f"object too large: {len(data)} bytes exceed {MAX_OBJECT_BYTES}")
        digest = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()

        def call() -> bool:
            blob = self._bucket.blob(name)
            blob.cache_control = CACHE_CONTROL
            try:
                blob.upload_from_string(data, media_type, if_generation_match=0, timeout=SOCKET_TIMEOUT_S, retry=None)
            except PreconditionFailed:
                return False
            if blob.md5_hash != digest:
                raise ValueError("checksum mismatch")
            return True

        if not await self._run_in_thread("put", call):
            raise FileExistsError(name)

    async def get(self, name: str) -> bytes | None:
        """Return the object's content, or None. Raises StorageUnavailable, also for more than MAX_OBJECT_BYTES."""

        def call() -> bytes | None:
            content = _BoundedBuffer()
            try:
                self._bucket.blob(name).download_to_file(content, timeout=SOCKET_TIMEOUT_S, retry=None)
            except NotFound:
                return None
            return content.getvalue()

        return await self._run_in_thread("get", call)

    async def delete(self, name: str) -> bool:
        """Delete an object. Return whether it existed. Raises StorageUnavailable."""

        def call() -> bool:
            try:
                self._bucket.blob(name).delete(timeout=SOCKET_TIMEOUT_S, retry=None)
            except NotFound:
                return False
            return True

        return await self._run_in_thread("delete", call)

    async def list_names(self, prefix: str, min_age: timedelta) -> list[str]:
        """Return the names of objects with a prefix and a minimum age. TOTAL_TIMEOUT_S applies to each page.

        Raises StorageUnavailable, also for names without the prefix.
        """
        created_before = datetime.now(UTC) - min_age
        names: list[str] = []
        page_token: str | None = None
        for _ in range(MAX_PAGES):
            page, page_token = await self._list_page(prefix, created_before, page_token)
            names += page
            if page_token is None:
                break
        return names

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
                raise ValueError("listed name without the prefix")
            return [blob.name for blob in blobs if blob.time_created < created_before], pages.next_page_token

        return await self._run_in_thread("list", call)

    async def _run_in_thread[T](self, operation: str, call: Callable[[], T]) -> T:
        """Run a call in a thread. Abort it at the timeout, which frees the thread. Raises StorageUnavailable."""
        abortable_call = AbortableCall()

        def work() -> T:
            with abortable_call:
                try:
                    return call()
                except Exception as error:  # the SDK raises any type for invalid responses
                    raise StorageUnavailable from error

        try:
            with tracing.start_peer_span("storage", operation):
                return await asyncio.wait_for(
                    asyncio.get_running_loop().run_in_executor(self._executor, requests_sessions.bind_context(work)),
                    TOTAL_TIMEOUT_S,
                )
        except TimeoutError as error:
            raise StorageUnavailable from error
        finally:
            abortable_call.abort()


async def delete_orphans(
    object_store: ObjectStore, referenced: Set[str] | AsyncIterable[str], prefix: str, min_age: timedelta
) -> int:
    """Delete objects without a reference. Return their number. Several processes may do so concurrently.

    `min_age` must exceed the time between storing an object and storing its reference. An iterator of references is
    read after the objects were listed, so that it includes all their references; if it raises, nothing is deleted.
    Raises StorageUnavailable.
    """
    orphans = set(await object_store.list_names(prefix, min_age))
    if isinstance(referenced, Set):
        orphans -= referenced
    else:
        async for name in referenced:
            orphans.discard(name)
    deleted = 0
    for name in sorted(orphans):
        deleted += await object_store.delete(name)
    return deleted


class _BoundedBuffer(io.BytesIO):
    """Buffer of at most MAX_OBJECT_BYTES."""

    def write(self, data: Any, /) -> int:
        if self.tell() + len(data) > MAX_OBJECT_BYTES:
            raise ValueError("object too large")
        return super().write(data)
