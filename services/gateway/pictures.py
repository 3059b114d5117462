"""Pictures that users bring: made harmless, then stored under names that nobody guesses."""

import asyncio
import hashlib
import secrets
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from generated.problems import Reason
from services.runtime.objects import Objects
from services.runtime.pictures import MEDIA_TYPE, PictureRefused, normalise
from services.runtime.refusal import Refusal
from services.runtime.rest.types import Blob, Upload

DECODERS = 2
"""How many pictures are decoded at a time, which bounds the memory that they take."""

PATIENCE = 10.0
"""Seconds until a picture must be decoded."""


class StoredPictures:
    """Pictures in object storage."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._threads = ThreadPoolExecutor(DECODERS, thread_name_prefix="pictures")

    def close(self) -> None:
        """Closes the storage; what is under way is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._objects.close()

    async def add(self, folder: str, upload: Upload) -> str:
        """Normalises a picture and stores it; its name. Refuses PICTURE_REFUSED and UPSTREAM_UNAVAILABLE."""
        loop = asyncio.get_running_loop()
        try:
            picture = await asyncio.wait_for(loop.run_in_executor(self._threads, normalise, upload.content), PATIENCE)
        except PictureRefused as error:
            raise Refusal(Reason.PICTURE_REFUSED, str(error)) from error
        except TimeoutError as error:
            raise Refusal(Reason.UPSTREAM_UNAVAILABLE, "Too many pictures at once.", retry_after=5) from error
        name = f"{folder}/{secrets.token_urlsafe(24)}.{_digest(picture)}"
        await self._objects.put(name, picture, MEDIA_TYPE)
        return name

    async def get(self, name: str) -> Blob | None:
        """A picture. What is not what was stored is as good as away: refuses UPSTREAM_UNAVAILABLE."""
        content = await self._objects.get(name)
        if content is None:
            return None
        if _digest(content) != name.rpartition(".")[2]:
            raise Refusal(Reason.UPSTREAM_UNAVAILABLE, "Object storage answers something else.", retry_after=2)
        return Blob(MEDIA_TYPE, content)

    async def remove(self, name: str) -> None:
        """Removes a picture; one that is not there is no error."""
        await self._objects.delete(name)

    async def remove_orphans(self, folder: str, known: set[str], older_than: timedelta) -> int:
        """Removes pictures that are none of the known. Returns how many."""
        orphans = [name for name in await self._objects.names(f"{folder}/", older_than) if name not in known]
        for name in orphans:
            await self._objects.delete(name)
        return len(orphans)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]
