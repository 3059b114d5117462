"""Pictures that users bring: made harmless, then stored under names that nobody guesses."""

import hashlib
import secrets
from datetime import timedelta

from generated.problems import Reason
from services.runtime.objects import Objects, remove_orphans
from services.runtime.pictures import MEDIA_TYPE, Decoders, DecodersBusy, PictureRefused, WrongType
from services.runtime.refusal import Refusal
from services.runtime.rest.types import Blob, Upload


class StoredPictures:
    """Pictures in object storage. A name ends with the digest of its content, by which the storage is checked."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._decoders = Decoders()

    def close(self) -> None:
        """Closes the storage; what is under way is not waited for."""
        self._decoders.close()
        self._objects.close()

    async def add(self, folder: str, upload: Upload) -> str:
        """Normalises a picture and stores it; its name. Refuses PICTURE_REFUSED and UNSUPPORTED_MEDIA_TYPE."""
        try:
            picture = await self._decoders.normalise(upload.content, upload.media_type)
        except WrongType as error:
            raise Refusal(Reason.UNSUPPORTED_MEDIA_TYPE, str(error)) from error
        except PictureRefused as error:
            raise Refusal(Reason.PICTURE_REFUSED, str(error)) from error
        except DecodersBusy as error:
            raise Refusal(Reason.UPSTREAM_UNAVAILABLE, "Too many pictures at once.", retry_after=5) from error
        name = f"{folder}/{secrets.token_urlsafe(24)}.{picture.digest}"
        await self._objects.put(name, picture.content, picture.media_type)
        return name

    async def get(self, name: str) -> Blob | None:
        """A picture. What is not what was stored is as good as away: refuses UPSTREAM_UNAVAILABLE."""
        content = await self._objects.get(name)
        if content is None:
            return None
        if hashlib.sha256(content).hexdigest() != name.rpartition(".")[2]:
            raise Refusal(Reason.UPSTREAM_UNAVAILABLE, "Object storage answers something else.", retry_after=2)
        return Blob(MEDIA_TYPE, content)

    async def remove(self, name: str) -> None:
        """Removes a picture; one that is not there is no error."""
        await self._objects.delete(name)

    async def remove_orphans(self, folder: str, known: set[str], older_than: timedelta) -> int:
        """Removes pictures that are none of the known. Returns how many."""
        return await remove_orphans(self._objects, known, f"{folder}/", older_than)
