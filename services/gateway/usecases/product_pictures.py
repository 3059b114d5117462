"""Product images: stored by the gateway, referenced by the partners service, deleted once unreferenced."""

import logging
from typing import NamedTuple, Protocol

from generated.problems import Reason
from generated.proto.delivery.partners.v1 import Product
from services.gateway.domain.images import Image
from services.gateway.usecases.avatars import ORPHAN_MIN_AGE
from services.gateway.usecases.ports import ImageStore
from services.runtime.core.errors import ApiError

log = logging.getLogger(__name__)

FOLDER = "products"
PUBLIC_PATH_PREFIX = "/api/v1/pictures/"


class ProductPictureUpdate(NamedTuple):
    """Result of `set_picture_url`."""

    product: Product | None
    old_picture_url: str | None


class ProductPictureRegistry(Protocol):
    """Picture URLs of products, owned by the partners service."""

    async def set_picture_url(self, product_id: int, picture_url: str) -> ProductPictureUpdate:
        """Set the picture URL of a product. Raises ApiError: PRODUCT_NOT_FOUND."""

    async def list_picture_urls(self) -> set[str]:
        """Return the picture URLs of all products."""


def _parse_object_name(url: str) -> str:
    """Return the object name of a public URL: /api/v1/pictures/x → products/x."""
    return f"{FOLDER}/{url.removeprefix(PUBLIC_PATH_PREFIX)}"


async def set_product_picture(
    registry: ProductPictureRegistry, image_store: ImageStore, product_id: int, image: Image
) -> Product | None:
    """Replace the image of a product. Returns the changed product.

    Raises ApiError: PRODUCT_NOT_FOUND, PICTURE_REFUSED, UNSUPPORTED_MEDIA_TYPE.
    """
    name = await image_store.add(FOLDER, image)
    url = PUBLIC_PATH_PREFIX + name.removeprefix(f"{FOLDER}/")
    try:
        product, old_url = await registry.set_picture_url(product_id, url)
    except ApiError as error:
        if error.reason is Reason.PRODUCT_NOT_FOUND:
            await image_store.delete(name)
        raise
    # A retried call returns the URL that its first attempt has set as the old one.
    if old_url is not None and old_url != url:
        try:
            await image_store.delete(_parse_object_name(old_url))
        except ApiError as error:
            log.warning("old product image not deleted: %s; left to the orphan clean-up", error)
    return product


async def get_product_picture(image_store: ImageStore, name: str) -> tuple[str, Image]:
    """Return the entity tag and the image.

    Raises ApiError: PICTURE_NOT_FOUND.
    """
    image = await image_store.get(f"{FOLDER}/{name}")
    if image is None:
        raise ApiError(Reason.PICTURE_NOT_FOUND)
    return name.rpartition(".")[2][:32], image


async def delete_orphaned_product_pictures(registry: ProductPictureRegistry, image_store: ImageStore) -> int:
    """Delete images that no product references. Returns 0, since one run deletes every orphan that is old enough."""
    referenced_names = set(map(_parse_object_name, await registry.list_picture_urls()))
    await image_store.delete_orphans(FOLDER, referenced_names, ORPHAN_MIN_AGE)
    return 0
