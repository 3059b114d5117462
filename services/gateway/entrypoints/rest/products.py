"""REST handlers of products, for admins."""

from generated.proto.delivery.partners import v1
from generated.proto.delivery.partners.v1.rpc import PartnersStub
from generated.rest.delivery import convert, pages
from generated.rest.delivery.handlers import ProductsHandler
from generated.rest.delivery.models import CreateProductRequest, Product, ProductPage, ProductPatch
from services.runtime.core.principal import Principal
from services.runtime.rest.preconditions import format_etag, parse_if_match_version
from services.runtime.rest.types import Response, require, unset_to_none


class Products(ProductsHandler):
    """Operations tagged `products`."""

    def __init__(self, partners: PartnersStub) -> None:
        self._partners = partners

    async def create_product(
        self, *, principal: Principal, body: CreateProductRequest, idempotency_key: str | None = None
    ) -> Response[Product]:
        """Create a product."""
        request = v1.CreateProductRequest(
            title=body.title,
            description=body.description,
            picture_url=unset_to_none(body.picture_url),
            idempotency_key=idempotency_key,
        )
        response = await self._partners.create_product(request)
        product = convert.product(require(response.product))
        headers = {"Location": f"/api/v1/products/{product.id}", "ETag": format_etag(response.version)}
        return Response(product, headers, replayed=response.replayed)

    async def list_products(
        self, *, principal: Principal, page_size: int = 20, page_token: str | None = None
    ) -> ProductPage:
        """Return a page of products, ordered by id."""
        request = v1.ListProductsRequest(page_size=page_size, page_token=page_token or "")
        return await self._partners.list_products(request, pages.product_page)

    async def get_product(self, *, principal: Principal, product_id: int) -> Response[Product]:
        """Return the product."""
        response = await self._partners.get_product(v1.GetProductRequest(product_id=product_id))
        return Response(convert.product(require(response.product)), {"ETag": format_etag(response.version)})

    async def update_product(
        self, *, principal: Principal, product_id: int, body: ProductPatch, if_match: str | None = None
    ) -> Response[Product]:
        """Update a product."""
        request = v1.UpdateProductRequest(
            product_id=product_id,
            title=unset_to_none(body.title),
            description=unset_to_none(body.description),
            picture_url=unset_to_none(body.picture_url),
            remove_picture=body.picture_url is None,
            version=parse_if_match_version(if_match),
        )
        response = await self._partners.update_product(request)
        return Response(convert.product(require(response.product)), {"ETag": format_etag(response.version)})

    async def delete_product(self, *, principal: Principal, product_id: int) -> None:
        """Delete a product."""
        await self._partners.delete_product(v1.DeleteProductRequest(product_id=product_id))
