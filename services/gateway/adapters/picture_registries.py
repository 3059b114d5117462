"""Pictures of partners and products, over gRPC to the partners service, which stores their public paths."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, override

from generated.proto.delivery.partners.v1 import (
    ListPartnerPicturesRequest,
    ListProductPicturesRequest,
    Partner,
    Product,
    SetPartnerPictureRequest,
    SetProductPictureRequest,
)
from generated.proto.delivery.partners.v1.rpc import PartnersStub
from services.gateway.usecases.catalog_pictures import PARTNERS, PRODUCTS, PictureRegistry, PictureUpdate

PAGE_SIZE = 100


@dataclass(frozen=True, slots=True)
class PicturePaths:
    """Paths of the public API for the images in a folder of the object storage."""

    folder: str
    prefix: str

    def get_path(self, object_name: str) -> str:
        """Return the path of an image: products/x → /api/v1/pictures/x."""
        return self.prefix + object_name.removeprefix(f"{self.folder}/")

    def get_object_name(self, path: str) -> str:
        """Return the object name of an image: /api/v1/pictures/x → products/x."""
        return f"{self.folder}/{path.removeprefix(self.prefix)}"


PARTNER_PATHS = PicturePaths(PARTNERS.name, "/api/v1/partner-pictures/")
PRODUCT_PATHS = PicturePaths(PRODUCTS.name, "/api/v1/pictures/")


class RpcPartnerPictureRegistry(PictureRegistry[Partner]):
    """Pictures of partners."""

    def __init__(self, stub: PartnersStub) -> None:
        self._stub = stub

    @override
    async def set_picture(self, entity_id: int, name: str) -> PictureUpdate[Partner]:
        request = SetPartnerPictureRequest(partner_id=entity_id, picture_url=PARTNER_PATHS.get_path(name))
        response = await self._stub.set_partner_picture(request)
        return _build_update(PARTNER_PATHS, response.partner, response.old_picture_url)

    @override
    async def list_pictures(self) -> set[str]:
        return await _collect_object_names(
            PARTNER_PATHS,
            lambda token: self._stub.list_partner_pictures(
                ListPartnerPicturesRequest(page_size=PAGE_SIZE, page_token=token)
            ),
        )


class RpcProductPictureRegistry(PictureRegistry[Product]):
    """Pictures of products."""

    def __init__(self, stub: PartnersStub) -> None:
        self._stub = stub

    @override
    async def set_picture(self, entity_id: int, name: str) -> PictureUpdate[Product]:
        request = SetProductPictureRequest(product_id=entity_id, picture_url=PRODUCT_PATHS.get_path(name))
        response = await self._stub.set_product_picture(request)
        return _build_update(PRODUCT_PATHS, response.product, response.old_picture_url)

    @override
    async def list_pictures(self) -> set[str]:
        return await _collect_object_names(
            PRODUCT_PATHS,
            lambda token: self._stub.list_product_pictures(
                ListProductPicturesRequest(page_size=PAGE_SIZE, page_token=token)
            ),
        )


class _PicturePage(Protocol):
    """Page of picture URLs."""

    @property
    def picture_urls(self) -> Sequence[str]: ...

    @property
    def next_page_token(self) -> str | None: ...


def _build_update[Entity](paths: PicturePaths, entity: Entity | None, old_path: str | None) -> PictureUpdate[Entity]:
    return PictureUpdate(entity, None if old_path is None else paths.get_object_name(old_path))


async def _collect_object_names(paths: PicturePaths, fetch_page: Callable[[str], Awaitable[_PicturePage]]) -> set[str]:
    names: set[str] = set()
    page_token: str | None = ""
    while page_token is not None:
        page = await fetch_page(page_token)
        names.update(map(paths.get_object_name, page.picture_urls))
        page_token = page.next_page_token
    return names
