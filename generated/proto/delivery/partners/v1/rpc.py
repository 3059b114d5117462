"""Written by `make generate` from api-specs/proto. Do not edit."""

from abc import abstractmethod

from generated.proto.delivery.partners.v1 import (
    CheckProductsRequest,
    CheckProductsResponse,
    ListCatalogRequest,
    ListCatalogResponse,
    ListProductPicturesRequest,
    ListProductPicturesResponse,
    SetProductPictureRequest,
    SetProductPictureResponse,
    VerifyReadyCallbackRequest,
    VerifyReadyCallbackResponse,
)
from services.runtime.principal import Principal
from services.runtime.rpc import Idempotency, Method, Servicer, Stub

LIST_CATALOG: Method[ListCatalogRequest, ListCatalogResponse] = Method(
    service="delivery.partners.v1.PartnersService",
    name="ListCatalog",
    attribute="list_catalog",
    request=ListCatalogRequest,
    response=ListCatalogResponse,
    server_streaming=False,
    idempotency=Idempotency.NO_SIDE_EFFECTS,
    callers=("gateway",),
    actor_required=False,
    timeout_s=5.0,
    attempts=3,
)


CHECK_PRODUCTS: Method[CheckProductsRequest, CheckProductsResponse] = Method(
    service="delivery.partners.v1.PartnersService",
    name="CheckProducts",
    attribute="check_products",
    request=CheckProductsRequest,
    response=CheckProductsResponse,
    server_streaming=False,
    idempotency=Idempotency.NO_SIDE_EFFECTS,
    callers=("gateway",),
    actor_required=False,
    timeout_s=5.0,
    attempts=3,
)


SET_PRODUCT_PICTURE: Method[SetProductPictureRequest, SetProductPictureResponse] = Method(
    service="delivery.partners.v1.PartnersService",
    name="SetProductPicture",
    attribute="set_product_picture",
    request=SetProductPictureRequest,
    response=SetProductPictureResponse,
    server_streaming=False,
    idempotency=Idempotency.IDEMPOTENT,
    callers=("gateway",),
    actor_required=True,
    timeout_s=5.0,
    attempts=3,
)


LIST_PRODUCT_PICTURES: Method[ListProductPicturesRequest, ListProductPicturesResponse] = Method(
    service="delivery.partners.v1.PartnersService",
    name="ListProductPictures",
    attribute="list_product_pictures",
    request=ListProductPicturesRequest,
    response=ListProductPicturesResponse,
    server_streaming=False,
    idempotency=Idempotency.NO_SIDE_EFFECTS,
    callers=("gateway",),
    actor_required=False,
    timeout_s=5.0,
    attempts=3,
)


VERIFY_READY_CALLBACK: Method[VerifyReadyCallbackRequest, VerifyReadyCallbackResponse] = Method(
    service="delivery.partners.v1.PartnersService",
    name="VerifyReadyCallback",
    attribute="verify_ready_callback",
    request=VerifyReadyCallbackRequest,
    response=VerifyReadyCallbackResponse,
    server_streaming=False,
    idempotency=Idempotency.NO_SIDE_EFFECTS,
    callers=("gateway",),
    actor_required=False,
    timeout_s=5.0,
    attempts=3,
)


class PartnersServicer(Servicer):
    """Restaurants and shops, and the calls they make to us."""

    SERVICE = "delivery.partners.v1.PartnersService"
    METHODS = (
        LIST_CATALOG,
        CHECK_PRODUCTS,
        SET_PRODUCT_PICTURE,
        LIST_PRODUCT_PICTURES,
        VERIFY_READY_CALLBACK,
    )

    @abstractmethod
    async def list_catalog(self, request: ListCatalogRequest) -> ListCatalogResponse:
        """Lists the verified, enabled partners that have available products, by id."""

    @abstractmethod
    async def check_products(self, request: CheckProductsRequest) -> CheckProductsResponse:
        """Prices a basket at one partner. Refuses PARTNER_UNAVAILABLE, PRODUCT_UNAVAILABLE, CURRENCY_MISMATCH, TOTAL_MISMATCH."""

    @abstractmethod
    async def set_product_picture(
        self, request: SetProductPictureRequest, principal: Principal
    ) -> SetProductPictureResponse:
        """Points a product to another picture. Refuses PRODUCT_NOT_FOUND."""

    @abstractmethod
    async def list_product_pictures(self, request: ListProductPicturesRequest) -> ListProductPicturesResponse:
        """Lists the pictures that products point to, by product."""

    @abstractmethod
    async def verify_ready_callback(self, request: VerifyReadyCallbackRequest) -> VerifyReadyCallbackResponse:
        """Verifies a partner's signed callback and that the order is that partner's. Refuses SIGNATURE_INVALID, ORDER_NOT_FOUND."""


class PartnersStub(Stub):
    """Restaurants and shops, and the calls they make to us."""

    METHODS = PartnersServicer.METHODS

    async def list_catalog(self, request: ListCatalogRequest, *, timeout: float | None = None) -> ListCatalogResponse:
        """Lists the verified, enabled partners that have available products, by id."""
        return await self.unary(LIST_CATALOG, request, timeout)

    async def check_products(
        self, request: CheckProductsRequest, *, timeout: float | None = None
    ) -> CheckProductsResponse:
        """Prices a basket at one partner. Refuses PARTNER_UNAVAILABLE, PRODUCT_UNAVAILABLE, CURRENCY_MISMATCH, TOTAL_MISMATCH."""
        return await self.unary(CHECK_PRODUCTS, request, timeout)

    async def set_product_picture(
        self, request: SetProductPictureRequest, *, timeout: float | None = None
    ) -> SetProductPictureResponse:
        """Points a product to another picture. Refuses PRODUCT_NOT_FOUND."""
        return await self.unary(SET_PRODUCT_PICTURE, request, timeout)

    async def list_product_pictures(
        self, request: ListProductPicturesRequest, *, timeout: float | None = None
    ) -> ListProductPicturesResponse:
        """Lists the pictures that products point to, by product."""
        return await self.unary(LIST_PRODUCT_PICTURES, request, timeout)

    async def verify_ready_callback(
        self, request: VerifyReadyCallbackRequest, *, timeout: float | None = None
    ) -> VerifyReadyCallbackResponse:
        """Verifies a partner's signed callback and that the order is that partner's. Refuses SIGNATURE_INVALID, ORDER_NOT_FOUND."""
        return await self.unary(VERIFY_READY_CALLBACK, request, timeout)
