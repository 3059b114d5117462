"""REST handlers of the catalogue, banks for customers, and product pictures."""

from generated.proto.delivery.orders.v1 import ListBanksRequest
from generated.proto.delivery.orders.v1.rpc import OrdersStub
from generated.proto.delivery.partners.v1 import ListCatalogRequest, ListPartnerProductsRequest
from generated.proto.delivery.partners.v1.rpc import PartnersStub
from generated.rest.delivery import convert, pages
from generated.rest.delivery.handlers import CatalogHandler
from generated.rest.delivery.models import BankPage, CatalogPage, CatalogProductPage, Product
from services.gateway.domain.images import Image
from services.gateway.usecases import product_images
from services.gateway.usecases.ports import ImageStore
from services.gateway.usecases.product_images import ProductImageRegistry
from services.runtime.core.principal import Principal
from services.runtime.rest.types import BinaryResponse, Response, Upload, require


class Catalog(CatalogHandler):
    """Operations tagged `catalog`."""

    def __init__(
        self,
        partners: PartnersStub,
        orders: OrdersStub,
        image_registry: ProductImageRegistry,
        image_store: ImageStore,
    ) -> None:
        self._partners = partners
        self._orders = orders
        self._image_registry = image_registry
        self._image_store = image_store

    async def list_catalog(
        self,
        *,
        page_size: int = 20,
        page_token: str | None = None,
        partner_id: int | None = None,
        q: str | None = None,
    ) -> CatalogPage:
        """Return a page of partners with their products."""
        request = ListCatalogRequest(page_size=page_size, page_token=page_token or "", partner_id=partner_id, q=q)
        return await self._partners.list_catalog(request, pages.catalog_page)

    async def list_partner_products(
        self, *, partner_id: int, page_size: int = 20, page_token: str | None = None
    ) -> CatalogProductPage:
        """Return a page of a partner's products."""
        request = ListPartnerProductsRequest(page_size=page_size, page_token=page_token or "", partner_id=partner_id)
        return await self._partners.list_partner_products(request, pages.catalog_product_page)

    async def list_banks(self, *, principal: Principal, page_size: int = 20, page_token: str | None = None) -> BankPage:
        """Return a page of banks that accept payments."""
        request = ListBanksRequest(page_size=page_size, page_token=page_token or "")
        return await self._orders.list_banks(request, pages.bank_page)

    async def put_product_picture(self, *, principal: Principal, product_id: int, body: Upload) -> Product:
        """Replace the picture of a product."""
        image = Image(body.media_type, body.content)
        product = await product_images.set_product_image(self._image_registry, self._image_store, product_id, image)
        return convert.product(require(product))

    async def get_picture(self, *, picture: str) -> Response[BinaryResponse]:
        """Return the picture, which clients may cache indefinitely."""
        tag, image = await product_images.get_product_image(self._image_store, picture)
        headers = {"ETag": f'"{tag}"', "Cache-Control": "public, max-age=31536000, immutable"}
        return Response(BinaryResponse(image.media_type, image.content), headers)
