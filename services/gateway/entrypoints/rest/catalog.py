"""REST handlers of pictures of partners and products."""

from generated.proto.delivery.orders.v1.rpc import OrdersStub
from generated.proto.delivery.partners.v1.rpc import PartnersStub
from generated.rest.delivery import convert
from generated.rest.delivery.forwarding_handlers import ForwardingCatalogHandler
from generated.rest.delivery.models import Partner, Product
from services.gateway.domain.images import Image
from services.gateway.usecases import catalog_pictures
from services.gateway.usecases.catalog_pictures import PictureFolder, PictureRegistries
from services.gateway.usecases.ports import ImageStore
from services.runtime.core.principal import Principal
from services.runtime.rest.types import BinaryResponse, Response, Upload, require

CACHE_CONTROL_IMMUTABLE = "public, max-age=31536000, immutable"
"""A new picture has a new path."""


class Catalog(ForwardingCatalogHandler):
    """Operations tagged `catalog`."""

    def __init__(
        self, orders: OrdersStub, partners: PartnersStub, registries: PictureRegistries, image_store: ImageStore
    ) -> None:
        super().__init__(orders, partners)
        self._registries = registries
        self._image_store = image_store

    async def put_partner_picture(self, *, principal: Principal, partner_id: int, body: Upload) -> Partner:
        """Replace the picture of a partner."""
        image = Image(body.media_type, body.content)
        partner = await catalog_pictures.set_picture(
            catalog_pictures.PARTNERS, self._registries.partners, self._image_store, partner_id, image
        )
        return convert.partner(require(partner))

    async def put_product_picture(self, *, principal: Principal, product_id: int, body: Upload) -> Product:
        """Replace the picture of a product."""
        image = Image(body.media_type, body.content)
        product = await catalog_pictures.set_picture(
            catalog_pictures.PRODUCTS, self._registries.products, self._image_store, product_id, image
        )
        return convert.product(require(product))

    async def get_partner_picture(self, *, picture: str) -> Response[BinaryResponse]:
        """Return the picture of a partner, which clients may cache indefinitely."""
        return await self._get_picture(catalog_pictures.PARTNERS, picture)

    async def get_picture(self, *, picture: str) -> Response[BinaryResponse]:
        """Return the picture of a product, which clients may cache indefinitely."""
        return await self._get_picture(catalog_pictures.PRODUCTS, picture)

    async def _get_picture(self, folder: PictureFolder, name: str) -> Response[BinaryResponse]:
        tag, image = await catalog_pictures.get_picture(folder, self._image_store, name)
        headers = {"ETag": f'"{tag}"', "Cache-Control": CACHE_CONTROL_IMMUTABLE}
        return Response(BinaryResponse(image.media_type, image.content), headers)
