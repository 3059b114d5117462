"""Google Cloud Storage, off the event loop: the SDK blocks, and its own retries would outlive every deadline."""

import asyncio
import base64
import hashlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import requests
from google.api_core.exceptions import GoogleAPICallError, NotFound
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError
from google.cloud import storage
from urllib3.exceptions import HTTPError

from generated.problems import Reason
from services.runtime.refusal import Refusal

TIMEOUT = 3.0
"""Seconds that storage may take for one answer."""

PATIENCE = 5.0
"""Seconds that anybody waits for one."""

THREADS = 8

_AWAY = (
    GoogleAPICallError,
    GoogleAuthError,
    requests.RequestException,
    HTTPError,
    OSError,
    ValueError,
    KeyError,
    TypeError,
)
"""What the SDK raises for a storage that is down, slow or answers nonsense."""


class Objects:
    """One bucket. `emulator` is where it is played; empty for Google itself, with the machine's own credentials."""

    def __init__(self, bucket: str, emulator: str = "") -> None:
        if emulator:
            credentials = AnonymousCredentials()  # type: ignore[no-untyped-call]
            client = storage.Client("local", credentials, client_options={"api_endpoint": emulator})
        else:
            client = storage.Client()
        self._client = client
        self._bucket = client.bucket(bucket)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="objects")

    def close(self) -> None:
        """Closes every connection; what is under way is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    async def put(self, name: str, data: bytes, media_type: str) -> None:
        """Stores an object under a name that is not taken; what the storage says of it proves that it is there."""
        digest = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()

        def call() -> None:
            blob = self._bucket.blob(name)
            blob.upload_from_string(data, media_type, timeout=TIMEOUT, retry=None)
            if blob.md5_hash != digest:
                raise ValueError("the storage says that it has something else")

        await self._in_thread(call)

    async def get(self, name: str) -> bytes | None:
        """The object's bytes."""

        def call() -> bytes:
            content: bytes = self._bucket.blob(name).download_as_bytes(timeout=TIMEOUT, retry=None)
            return content

        try:
            return await self._in_thread(call)
        except NotFound:
            return None

    async def delete(self, name: str) -> None:
        """Removes an object; one that is not there is no error."""
        try:
            await self._in_thread(lambda: self._bucket.blob(name).delete(timeout=TIMEOUT, retry=None))
        except NotFound:
            return

    async def names(self, prefix: str, older_than: timedelta) -> list[str]:
        """The objects below a prefix that have been there for so long."""
        before = datetime.now(UTC) - older_than

        def call() -> list[str]:
            blobs: Iterable[storage.Blob] = self._client.list_blobs(
                self._bucket, prefix=prefix, timeout=TIMEOUT, retry=None
            )
            return [blob.name for blob in blobs if blob.time_created < before]

        return await self._in_thread(call)

    async def _in_thread[T](self, call: Callable[[], T]) -> T:
        """Refuses UPSTREAM_UNAVAILABLE; what takes too long goes on in its thread, unheard."""
        loop = asyncio.get_running_loop()
        try:
            return await asyncio.wait_for(loop.run_in_executor(self._threads, call), PATIENCE)
        except NotFound:
            raise
        except (*_AWAY, TimeoutError) as error:
            raise Refusal(Reason.UPSTREAM_UNAVAILABLE, "Object storage is away.", retry_after=2) from error
