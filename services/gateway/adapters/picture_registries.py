"""Picture URLs of partners and products, over gRPC to the partners service."""

from collections.abc import Awaitable, Callable, Sequence
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
from services.gateway.usecases.catalog_pictures import PictureRegistry, PictureUpdate

PAGE_SIZE = 100


class RpcPartnerPictureRegistry(PictureRegistry[Partner]):
    """Picture URLs of partners."""

    def __init__(self, stub: PartnersStub) -> None:
        self._stub = stub

    @override
    async def set_picture_url(self, entity_id: int, picture_url: str) -> PictureUpdate[Partner]:
        request = SetPartnerPictureRequest(partner_id=entity_id, picture_url=picture_url)
        response = await self._stub.set_partner_picture(request)
        return PictureUpdate(response.partner, response.old_picture_url)

    @override
    async def list_picture_urls(self) -> set[str]:
        return await _collect_picture_urls(
            lambda token: self._stub.list_partner_pictures(
                ListPartnerPicturesRequest(page_size=PAGE_SIZE, page_token=token)
            )
        )


class RpcProductPictureRegistry(PictureRegistry[Product]):
    """Picture URLs of products."""

    def __init__(self, stub: PartnersStub) -> None:
        self._stub = stub

    @override
    async def set_picture_url(self, entity_id: int, picture_url: str) -> PictureUpdate[Product]:
        request = SetProductPictureRequest(product_id=entity_id, picture_url=picture_url)
        response = await self._stub.set_product_picture(request)
        return PictureUpdate(response.product, response.old_picture_url)

    @override
    async def list_picture_urls(self) -> set[str]:
        return await _collect_picture_urls(
            lambda token: self._stub.list_product_pictures(
                ListProductPicturesRequest(page_size=PAGE_SIZE, page_token=token)
            )
        )


class _PicturePage(Protocol):
    """Page of picture URLs."""

    @property
    def picture_urls(self) -> Sequence[str]: ...

    @property
    def next_page_token(self) -> str | None: ...


async def _collect_picture_urls(fetch_page: Callable[[str], Awaitable[_PicturePage]]) -> set[str]:
    picture_urls: set[str] = set()
    page_token: str | None = ""
    while page_token is not None:
        page = await fetch_page(page_token)
        picture_urls.update(page.picture_urls)
        page_token = page.next_page_token
    return picture_urls
