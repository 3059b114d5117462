"""Picture URLs of products, over gRPC to the partners service."""

from typing import override

from generated.proto.delivery.partners.v1 import ListProductPicturesRequest, SetProductPictureRequest
from generated.proto.delivery.partners.v1.rpc import PartnersStub
from services.gateway.usecases.product_pictures import ProductPictureRegistry, ProductPictureUpdate

PAGE_SIZE = 100


class RpcProductPictureRegistry(ProductPictureRegistry):
    """Client of the partners service that implements `ProductPictureRegistry`."""

    def __init__(self, partners: PartnersStub) -> None:
        self._partners = partners

    @override
    async def set_picture_url(self, product_id: int, picture_url: str) -> ProductPictureUpdate:
        request = SetProductPictureRequest(product_id=product_id, picture_url=picture_url)
        response = await self._partners.set_product_picture(request)
        return ProductPictureUpdate(response.product, response.old_picture_url)

    @override
    async def list_picture_urls(self) -> set[str]:
        picture_urls: set[str] = set()
        page_token: str | None = ""
        while page_token is not None:
            request = ListProductPicturesRequest(page_size=PAGE_SIZE, page_token=page_token)
            page = await self._partners.list_product_pictures(request)
            picture_urls.update(page.picture_urls)
            page_token = page.next_page_token
        return picture_urls
