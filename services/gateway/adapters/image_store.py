"""Image store: normalises uploaded images and stores them in object storage under unguessable names."""

import hashlib
import secrets
from datetime import timedelta
from typing import override

from generated.problems import Reason
from services.gateway.domain.images import Image
from services.gateway.usecases.ports import ImageStore
from services.runtime.core.errors import ApiError
from services.runtime.outbound.images import (
    OUTPUT_MEDIA_TYPE,
    DecoderOverloaded,
    ImageNormaliser,
    InvalidImage,
    MediaTypeMismatch,
)
from services.runtime.storage.object_storage import ObjectStore, delete_orphans


class GcsImageStore(ImageStore):
    """Images in Google Cloud Storage. A name ends with the SHA-256 digest of the content, which `get` verifies."""

    def __init__(self, object_store: ObjectStore) -> None:
        self._object_store = object_store
        self._normaliser = ImageNormaliser()

    def close(self) -> None:
        """Close the store without waiting for operations in progress."""
        self._normaliser.close()
        self._object_store.close()

    @override
    async def add(self, folder: str, image: Image) -> str:
        try:
            normalised = await self._normaliser.normalise(image.content, image.media_type)
        except MediaTypeMismatch as error:
            raise ApiError(Reason.UNSUPPORTED_MEDIA_TYPE, str(error)) from error
        except InvalidImage as error:
            raise ApiError(Reason.PICTURE_REFUSED, str(error)) from error
        except DecoderOverloaded as error:
            raise ApiError(Reason.UPSTREAM_UNAVAILABLE, "Too many concurrent uploads.", retry_after=5) from error
        name = f"{folder}/{secrets.token_urlsafe(24)}.{normalised.digest}"
        await self._object_store.put(name, normalised.content, normalised.media_type)
        return name

    @override
    async def get(self, name: str) -> Image | None:
        """Return the image.

        Raises ApiError: UPSTREAM_UNAVAILABLE, also for content that does not match the digest.
        """
        content = await self._object_store.get(name)
        if content is None:
            return None
        if hashlib.sha256(content).hexdigest() != name.rpartition(".")[2]:
            raise ApiError(Reason.UPSTREAM_UNAVAILABLE, "The stored image is corrupt.", retry_after=2)
        return Image(OUTPUT_MEDIA_TYPE, content)

    @override
    async def delete(self, name: str) -> None:
        await self._object_store.delete(name)

    @override
    async def delete_orphans(self, folder: str, referenced_names: set[str], min_age: timedelta) -> int:
        return await delete_orphans(self._object_store, referenced_names, f"{folder}/", min_age)
