"""Who sells what, and where to pay."""

from generated.proto.delivery.orders.v1 import ListBanksRequest
from generated.proto.delivery.orders.v1.rpc import OrdersStub
from generated.proto.delivery.partners.v1 import ListCatalogRequest, ListPartnerProductsRequest
from generated.proto.delivery.partners.v1.rpc import PartnersStub
from generated.rest.delivery import convert, pages
from generated.rest.delivery.handlers import CatalogHandler
from generated.rest.delivery.models import BankPage, CatalogPage, CatalogProductPage, Product
from services.gateway.usecases import product_images
from services.gateway.usecases.ports import ImageStore
from services.runtime.core.principal import Principal
from services.runtime.rest.types import BinaryResponse, Response, Upload, require


class Catalog(CatalogHandler):
    """The operations tagged `catalog`."""

    def __init__(self, partners: PartnersStub, orders: OrdersStub, image_store: ImageStore) -> None:
        self._partners = partners
        self._orders = orders
        self._image_store = image_store

    async def list_catalog(
        self,
        *,
        page_size: int = 20,
        page_token: str | None = None,
        partner_id: int | None = None,
        q: str | None = None,
    ) -> CatalogPage:
        """Partners and their products."""
        request = ListCatalogRequest(page_size=page_size, page_token=page_token or "", partner_id=partner_id, q=q)
        return await self._partners.list_catalog(request, pages.catalog_page)

    async def list_partner_products(
        self, *, partner_id: int, page_size: int = 20, page_token: str | None = None
    ) -> CatalogProductPage:
        """All that a partner sells."""
        request = ListPartnerProductsRequest(page_size=page_size, page_token=page_token or "", partner_id=partner_id)
        return await self._partners.list_partner_products(request, pages.catalog_product_page)

    async def list_banks(self, *, principal: Principal, page_size: int = 20, page_token: str | None = None) -> BankPage:
        """Banks to pay at."""
        request = ListBanksRequest(page_size=page_size, page_token=page_token or "")
        return await self._orders.list_banks(request, pages.bank_page)

    async def put_product_picture(self, *, principal: Principal, product_id: int, body: Upload) -> Product:
        """A product with its new picture."""
        return convert.product(
            require(await product_images.set_product_image(self._partners, self._image_store, product_id, body))
        )

    async def get_picture(self, *, picture: str) -> Response[BinaryResponse]:
        """A picture, which may be kept for ever."""
        etag, content = await product_images.get_product_image(self._image_store, picture)
        return Response(content, {"ETag": etag, "Cache-Control": "public, max-age=31536000, immutable"})
