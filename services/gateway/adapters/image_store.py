"""Pictures that users bring: made harmless, then stored under names that nobody guesses."""

import hashlib
import secrets
from datetime import timedelta

from generated.problems import Reason
from services.runtime.core.errors import ApiError
from services.runtime.outbound.images import (
    OUTPUT_MEDIA_TYPE,
    DecoderOverloaded,
    ImageNormaliser,
    InvalidImage,
    MediaTypeMismatch,
)
from services.runtime.rest.types import BinaryResponse, Upload
from services.runtime.storage.object_storage import ObjectStore, delete_orphans


class GcsImageStore:
    """Pictures in object storage. A name ends with the digest of its content, by which the storage is checked."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self._decoders = ImageNormaliser()

    def close(self) -> None:
        """Closes the storage; what is under way is not waited for."""
        self._decoders.close()
        self._objects.close()

    async def add(self, folder: str, upload: Upload) -> str:
        """Normalises a picture and stores it; its name. Refuses PICTURE_REFUSED and UNSUPPORTED_MEDIA_TYPE."""
        try:
            picture = await self._decoders.normalise(upload.content, upload.media_type)
        except MediaTypeMismatch as error:
            raise ApiError(Reason.UNSUPPORTED_MEDIA_TYPE, str(error)) from error
        except InvalidImage as error:
            raise ApiError(Reason.PICTURE_REFUSED, str(error)) from error
        except DecoderOverloaded as error:
            raise ApiError(Reason.UPSTREAM_UNAVAILABLE, "Too many pictures at once.", retry_after=5) from error
        name = f"{folder}/{secrets.token_urlsafe(24)}.{picture.digest}"
        await self._objects.put(name, picture.content, picture.media_type)
        return name

    async def get(self, name: str) -> BinaryResponse | None:
        """A picture. What is not what was stored is as good as away: refuses UPSTREAM_UNAVAILABLE."""
        content = await self._objects.get(name)
        if content is None:
            return None
        if hashlib.sha256(content).hexdigest() != name.rpartition(".")[2]:
            raise ApiError(Reason.UPSTREAM_UNAVAILABLE, "Object storage answers something else.", retry_after=2)
        return BinaryResponse(OUTPUT_MEDIA_TYPE, content)

    async def delete(self, name: str) -> None:
        """Removes a picture; one that is not there is no error."""
        await self._objects.delete(name)

    async def delete_orphans(self, folder: str, referenced_names: set[str], min_age: timedelta) -> int:
        """Removes pictures that are none of the known. Returns how many."""
        return await delete_orphans(self._objects, referenced_names, f"{folder}/", min_age)
