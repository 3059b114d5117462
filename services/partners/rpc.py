"""The gRPC door of partners: messages in, use case, messages out."""

from dataclasses import asdict

from generated.proto.delivery.partners.v1 import (
    CatalogProduct,
    CheckProductsRequest,
    CheckProductsResponse,
    ListCatalogRequest,
    ListCatalogResponse,
    ListPartnerProductsRequest,
    ListPartnerProductsResponse,
    ListProductPicturesRequest,
    ListProductPicturesResponse,
    PartnerSummary,
    PricedItem,
    SetProductPictureRequest,
    SetProductPictureResponse,
    VerifyReadyCallbackRequest,
    VerifyReadyCallbackResponse,
)
from services.partners import usecases
from services.partners.admin_rpc import AdminRpc
from services.partners.domain import Line
from services.partners.messages import catalog_partner_of, product_of
from services.runtime.codec import Encoded, codec
from services.runtime.principal import Principal
from services.runtime.webhooks import SignedRequest


class PartnersRpc(AdminRpc):
    """Implements the generated servicer."""

    async def list_catalog(self, request: ListCatalogRequest) -> Encoded[ListCatalogResponse]:
        """A page of the catalog, which is the longest of all: its rows go to the wire as they are."""
        page = await usecases.list_catalog(
            self._store, request.page_size, request.page_token, request.partner_id, request.q
        )
        return codec().pack(
            ListCatalogResponse,
            items=[catalog_partner_of(entry) for entry in page.items],
            next_page_token=page.next_page_token,
        )

    async def list_partner_products(self, request: ListPartnerProductsRequest) -> ListPartnerProductsResponse:
        """A page of what a partner sells."""
        page = await usecases.list_partner_products(
            self._store, request.partner_id, request.page_size, request.page_token
        )
        return ListPartnerProductsResponse(
            items=[CatalogProduct(**asdict(offer)) for offer in page.items], next_page_token=page.next_page_token
        )

    async def set_product_picture(
        self, request: SetProductPictureRequest, principal: Principal
    ) -> SetProductPictureResponse:
        """The product with its new picture; the edge lets admins through alone."""
        product, old = await usecases.set_product_picture(
            self._store, self._clock, request.product_id, request.picture_url
        )
        return SetProductPictureResponse(product=product_of(product), old_picture_url=old)

    async def list_product_pictures(self, request: ListProductPicturesRequest) -> ListProductPicturesResponse:
        """A page of pictures."""
        page = await usecases.list_product_pictures(self._store, request.page_size, request.page_token)
        return ListProductPicturesResponse(
            picture_urls=[url for _, url in page.items], next_page_token=page.next_page_token
        )

    async def check_products(self, request: CheckProductsRequest) -> CheckProductsResponse:
        """A priced basket."""
        lines = [Line(item.product_id, item.quantity) for item in request.items]
        partner, priced = await usecases.check_products(
            self._store, request.partner_id, lines, request.total_amount, request.currency
        )
        return CheckProductsResponse(
            partner=PartnerSummary(id=partner.id, title=partner.title, brand=partner.brand),
            items=[PricedItem(**asdict(line)) for line in priced],
            total_amount=request.total_amount,
            currency=request.currency,
        )

    async def verify_ready_callback(self, request: VerifyReadyCallbackRequest) -> VerifyReadyCallbackResponse:
        """What a genuine callback says."""
        callback = await usecases.verify_ready(
            self._store,
            self._vault,
            self._clock,
            request.partner_id,
            SignedRequest(request.webhook_id, request.webhook_timestamp, request.webhook_signature, request.body),
        )
        return VerifyReadyCallbackResponse(order_id=callback.order_id, pickup_address=callback.pickup_address)
