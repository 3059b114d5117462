"""REST handlers of product pictures."""

from generated.proto.delivery.orders.v1.rpc import OrdersStub
from generated.proto.delivery.partners.v1.rpc import PartnersStub
from generated.rest.delivery import convert
from generated.rest.delivery.forwarding_handlers import ForwardingCatalogHandler
from generated.rest.delivery.models import Product
from services.gateway.domain.images import Image
from services.gateway.usecases import product_pictures
from services.gateway.usecases.ports import ImageStore
from services.gateway.usecases.product_pictures import ProductPictureRegistry
from services.runtime.core.principal import Principal
from services.runtime.rest.types import BinaryResponse, Response, Upload, require

CACHE_CONTROL_IMMUTABLE = "public, max-age=31536000, immutable"
"""A new picture has a new path."""


class Catalog(ForwardingCatalogHandler):
    """Operations tagged `catalog`."""

    def __init__(
        self,
        orders: OrdersStub,
        partners: PartnersStub,
        image_registry: ProductPictureRegistry,
        image_store: ImageStore,
    ) -> None:
        super().__init__(orders, partners)
        self._image_registry = image_registry
        self._image_store = image_store

    async def put_product_picture(self, *, principal: Principal, product_id: int, body: Upload) -> Product:
        """Replace the picture of a product."""
        image = Image(body.media_type, body.content)
        product = await product_pictures.set_product_picture(self._image_registry, self._image_store, product_id, image)
        return convert.product(require(product))

    async def get_picture(self, *, picture: str) -> Response[BinaryResponse]:
        """Return the picture, which clients may cache indefinitely."""
        tag, image = await product_pictures.get_product_picture(self._image_store, picture)
        headers = {"ETag": f'"{tag}"', "Cache-Control": CACHE_CONTROL_IMMUTABLE}
        return Response(BinaryResponse(image.media_type, image.content), headers)
