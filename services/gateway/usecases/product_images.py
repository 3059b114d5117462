"""Products' pictures: stored here, pointed to by partners, and removed once nothing points to them."""

import logging

from generated.problems import Reason
from generated.proto.delivery.partners.v1 import ListProductPicturesRequest, Product, SetProductPictureRequest
from generated.proto.delivery.partners.v1.rpc import PartnersStub
from services.gateway.usecases.avatars import ORPHAN_MIN_AGE
from services.gateway.usecases.ports import ImageStore
from services.runtime.core.errors import ApiError
from services.runtime.rest.types import BinaryResponse, Upload

log = logging.getLogger(__name__)

FOLDER = "products"
PUBLIC_PATH_PREFIX = "/api/v1/pictures/"


def _object_name(url: str) -> str:
    """/api/v1/pictures/x → products/x."""
    return f"{FOLDER}/{url.removeprefix(PUBLIC_PATH_PREFIX)}"


async def set_product_image(
    partners: PartnersStub, image_store: ImageStore, product_id: int, upload: Upload
) -> Product | None:
    """The product with its new picture. Refuses PRODUCT_NOT_FOUND, PICTURE_REFUSED and UNSUPPORTED_MEDIA_TYPE."""
    name = await image_store.add(FOLDER, upload)
    url = PUBLIC_PATH_PREFIX + name.removeprefix(f"{FOLDER}/")
    try:
        done = await partners.set_product_picture(SetProductPictureRequest(product_id=product_id, picture_url=url))
    except ApiError as refusal:
        if refusal.reason is Reason.PRODUCT_NOT_FOUND:
            await image_store.delete(name)
        raise
    # Asked again by a retry, the picture before is the one that has just been set.
    if done.old_picture_url is not None and done.old_picture_url != url:
        try:
            await image_store.delete(_object_name(done.old_picture_url))
        except ApiError as refusal:
            log.warning("an old picture is left to the sweep: %s", refusal)
    return done.product


async def get_product_image(image_store: ImageStore, name: str) -> tuple[str, BinaryResponse]:
    """A picture with its ETag. Refuses PICTURE_NOT_FOUND."""
    found = await image_store.get(f"{FOLDER}/{name}")
    if found is None:
        raise ApiError(Reason.PICTURE_NOT_FOUND)
    return f'"{name.rpartition(".")[2][:32]}"', found


async def delete_orphaned_product_images(partners: PartnersStub, image_store: ImageStore) -> int:
    """Removes pictures that no product points to. Returns 0: what is left is as young as it was."""
    known: set[str] = set()
    token: str | None = ""
    while token is not None:
        page = await partners.list_product_pictures(ListProductPicturesRequest(page_size=100, page_token=token))
        known.update(map(_object_name, page.picture_urls))
        token = page.next_page_token
    await image_store.delete_orphans(FOLDER, known, ORPHAN_MIN_AGE)
    return 0
