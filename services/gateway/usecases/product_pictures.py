"""Products' pictures: stored here, pointed to by partners, and removed once nothing points to them."""

import logging

from generated.problems import Reason
from generated.proto.delivery.partners.v1 import ListProductPicturesRequest, Product, SetProductPictureRequest
from generated.proto.delivery.partners.v1.rpc import PartnersStub
from services.gateway.usecases.avatars import GRACE
from services.gateway.usecases.ports import Pictures
from services.runtime.refusal import Refusal
from services.runtime.rest.types import Blob, Upload

log = logging.getLogger(__name__)

FOLDER = "products"
PUBLIC = "/api/v1/pictures/"


def _name(url: str) -> str:
    """/api/v1/pictures/x → products/x."""
    return f"{FOLDER}/{url.removeprefix(PUBLIC)}"


async def put(partners: PartnersStub, pictures: Pictures, product_id: int, upload: Upload) -> Product | None:
    """The product with its new picture. Refuses PRODUCT_NOT_FOUND, PICTURE_REFUSED and UNSUPPORTED_MEDIA_TYPE."""
    name = await pictures.add(FOLDER, upload)
    url = PUBLIC + name.removeprefix(f"{FOLDER}/")
    try:
        done = await partners.set_product_picture(SetProductPictureRequest(product_id=product_id, picture_url=url))
    except Refusal as refusal:
        if refusal.reason is Reason.PRODUCT_NOT_FOUND:
            await pictures.remove(name)
        raise
    # Asked again by a retry, the picture before is the one that has just been set.
    if done.old_picture_url is not None and done.old_picture_url != url:
        try:
            await pictures.remove(_name(done.old_picture_url))
        except Refusal as refusal:
            log.warning("an old picture is left to the sweep: %s", refusal)
    return done.product


async def get(pictures: Pictures, picture: str) -> tuple[str, Blob]:
    """A picture with its ETag. Refuses PICTURE_NOT_FOUND."""
    found = await pictures.get(f"{FOLDER}/{picture}")
    if found is None:
        raise Refusal(Reason.PICTURE_NOT_FOUND)
    return f'"{picture.rpartition(".")[2][:32]}"', found


async def sweep(partners: PartnersStub, pictures: Pictures) -> int:
    """Removes pictures that no product points to. Returns 0: what is left is as young as it was."""
    known: set[str] = set()
    token: str | None = ""
    while token is not None:
        page = await partners.list_product_pictures(ListProductPicturesRequest(page_size=100, page_token=token))
        known.update(map(_name, page.picture_urls))
        token = page.next_page_token
    await pictures.remove_orphans(FOLDER, known, GRACE)
    return 0
