"""Picture URLs of products, over gRPC to the partners service."""

from generated.proto.delivery.partners.v1 import ListProductPicturesRequest, SetProductPictureRequest
from generated.proto.delivery.partners.v1.rpc import PartnersStub
from services.gateway.usecases.ports import ProductImageUpdate

PAGE_SIZE = 100


class RpcProductImageRegistry:
    """Client of the partners service that implements `ProductImageRegistry`."""

    def __init__(self, partners: PartnersStub) -> None:
        self._partners = partners

    async def set_picture_url(self, product_id: int, picture_url: str) -> ProductImageUpdate:
        """Set the picture URL of a product."""
        request = SetProductPictureRequest(product_id=product_id, picture_url=picture_url)
        response = await self._partners.set_product_picture(request)
        return ProductImageUpdate(response.product, response.old_picture_url)

    async def list_picture_urls(self) -> set[str]:
        """Return the picture URLs of all products."""
        picture_urls: set[str] = set()
        page_token: str | None = ""
        while page_token is not None:
            request = ListProductPicturesRequest(page_size=PAGE_SIZE, page_token=page_token)
            page = await self._partners.list_product_pictures(request)
            picture_urls.update(page.picture_urls)
            page_token = page.next_page_token
        return picture_urls
