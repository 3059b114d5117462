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
from services.partners.domain.partners import BasketLine
from services.partners.entrypoints.admin_rpc import PartnersAdminRpc
from services.partners.entrypoints.proto_mapping import catalog_partner_to_proto, product_to_proto
from services.runtime.core.principal import Principal
from services.runtime.outbound.webhooks import SignedRequest
from services.runtime.rpc.codec import PreEncoded, get_codec


class PartnersRpc(PartnersAdminRpc):
    """Implements the generated servicer."""

    async def list_catalog(self, request: ListCatalogRequest) -> PreEncoded[ListCatalogResponse]:
        """A page of the catalog, which is the longest of all: its rows go to the wire as they are."""
        page = await usecases.list_catalog(
            self._repository, request.page_size, request.page_token, request.partner_id, request.q
        )
        return get_codec().encode_fields(
            ListCatalogResponse,
            items=[catalog_partner_to_proto(entry) for entry in page.items],
            next_page_token=page.next_page_token,
        )

    async def list_partner_products(self, request: ListPartnerProductsRequest) -> ListPartnerProductsResponse:
        """A page of what a partner sells."""
        page = await usecases.list_partner_products(
            self._repository, request.partner_id, request.page_size, request.page_token
        )
        return ListPartnerProductsResponse(
            items=[CatalogProduct(**asdict(offer)) for offer in page.items], next_page_token=page.next_page_token
        )

    async def set_product_picture(
        self, request: SetProductPictureRequest, principal: Principal
    ) -> SetProductPictureResponse:
        """The product with its new picture; the edge lets admins through alone."""
        product, old = await usecases.set_product_picture(
            self._repository, self._clock, request.product_id, request.picture_url
        )
        return SetProductPictureResponse(product=product_to_proto(product), old_picture_url=old)

    async def list_product_pictures(self, request: ListProductPicturesRequest) -> ListProductPicturesResponse:
        """A page of pictures."""
        page = await usecases.list_product_pictures(self._repository, request.page_size, request.page_token)
        return ListProductPicturesResponse(
            picture_urls=[url for _, url in page.items], next_page_token=page.next_page_token
        )

    async def check_products(self, request: CheckProductsRequest) -> CheckProductsResponse:
        """A priced basket."""
        lines = [BasketLine(item.product_id, item.quantity) for item in request.items]
        partner, priced = await usecases.check_products(
            self._repository, request.partner_id, lines, request.total_amount, request.currency
        )
        return CheckProductsResponse(
            partner=PartnerSummary(id=partner.id, title=partner.title, brand=partner.brand),
            items=[PricedItem(**asdict(line)) for line in priced],
            total_amount=request.total_amount,
            currency=request.currency,
        )

    async def verify_ready_callback(self, request: VerifyReadyCallbackRequest) -> VerifyReadyCallbackResponse:
        """What a genuine callback says."""
        callback = await usecases.verify_ready_callback(
            self._repository,
            self._secret_box,
            self._clock,
            request.partner_id,
            SignedRequest(request.webhook_id, request.webhook_timestamp, request.webhook_signature, request.body),
        )
        return VerifyReadyCallbackResponse(order_id=callback.order_id, pickup_address=callback.pickup_address)
