"""Images of partners and products: stored by the gateway, referenced by the partners service, deleted when orphaned."""

import logging
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from generated.problems import Reason
from generated.proto.delivery.partners.v1 import Partner, Product
from services.gateway.domain.images import Image
from services.gateway.usecases.avatars import ORPHAN_MIN_AGE
from services.gateway.usecases.ports import ImageStore
from services.runtime.core.errors import ApiError

log = logging.getLogger(__name__)


class PictureUpdate[Entity](NamedTuple):
    """Result of `set_picture`: the changed entity, and the object name of its previous picture."""

    entity: Entity | None
    old_name: str | None


class PictureRegistry[Entity](Protocol):
    """Pictures of partners or products by object name, owned by the partners service."""

    async def set_picture(self, entity_id: int, name: str) -> PictureUpdate[Entity]:
        """Set the picture of an entity. Raises ApiError: PARTNER_NOT_FOUND or PRODUCT_NOT_FOUND."""

    async def list_pictures(self) -> set[str]:
        """Return the object names of the pictures of all entities."""


class PictureRegistries(NamedTuple):
    """Pictures of the catalog."""

    partners: PictureRegistry[Partner]
    products: PictureRegistry[Product]


@dataclass(frozen=True, slots=True)
class PictureFolder:
    """Folder of the object storage for the images of partners or products."""

    name: str
    not_found_reason: Reason


PARTNERS = PictureFolder("partners", Reason.PARTNER_NOT_FOUND)
PRODUCTS = PictureFolder("products", Reason.PRODUCT_NOT_FOUND)


async def set_picture[Entity](
    folder: PictureFolder, registry: PictureRegistry[Entity], image_store: ImageStore, entity_id: int, image: Image
) -> Entity | None:
    """Replace the image of a partner or product. Returns the changed entity.

    Raises ApiError: the folder's reason for an unknown entity, PICTURE_REFUSED, UNSUPPORTED_MEDIA_TYPE.
    """
    name = await image_store.add(folder.name, image)
    try:
        entity, old_name = await registry.set_picture(entity_id, name)
    except ApiError as error:
        if error.reason is folder.not_found_reason:
            await image_store.delete(name)
        raise
    # A retried call returns the name that its first attempt has set as the old one.
    if old_name is not None and old_name != name:
        try:
            await image_store.delete(old_name)
        except ApiError as error:
            log.warning("old image not deleted: %s; left to the orphan clean-up", error)
    return entity


async def get_picture(folder: PictureFolder, image_store: ImageStore, name: str) -> tuple[str, Image]:
    """Return the entity tag and the image.

    Raises ApiError: PICTURE_NOT_FOUND.
    """
    image = await image_store.get(f"{folder.name}/{name}")
    if image is None:
        raise ApiError(Reason.PICTURE_NOT_FOUND)
    return name.rpartition(".")[2][:32], image


async def delete_orphaned_pictures(registries: PictureRegistries, image_store: ImageStore) -> int:
    """Delete images that nothing references. Returns 0, since one run deletes every orphan that is old enough."""
    await _delete_orphans(PRODUCTS, registries.products, image_store)
    await _delete_orphans(PARTNERS, registries.partners, image_store)
    return 0


async def _delete_orphans[Entity](
    folder: PictureFolder, registry: PictureRegistry[Entity], image_store: ImageStore
) -> None:
    await image_store.delete_orphans(folder.name, await registry.list_pictures(), ORPHAN_MIN_AGE)
