"""gRPC servicer of partners: decodes requests, calls use cases, encodes responses."""

from dataclasses import asdict

from generated.proto.delivery.partners import v1
from generated.proto.delivery.partners.v1.rpc import PartnersServicer
from services.partners import usecases
from services.partners.domain.call_policy import CallFilter
from services.partners.domain.catalog_sorting import CatalogFilter, CatalogSort, ProductSort
from services.partners.domain.partners import Availability, BasketLine, Partner, Product
from services.partners.entrypoints import proto_mapping
from services.partners.entrypoints.ready_callback import parse_ready_report
from services.partners.usecases.partner_calls import PartnerCallsRepository
from services.runtime.core.clock import Clock
from services.runtime.core.idempotency import build_idempotency_key
from services.runtime.core.preconditions import list_expected_versions
from services.runtime.core.principal import Principal
from services.runtime.outbound import webhook_secrets, webhooks
from services.runtime.rpc.codec import PreEncoded, get_codec
from services.runtime.rpc.request_validation import check_removed_fields
from services.runtime.storage.encryption import SecretBox


class PartnersRpc(PartnersServicer):
    """Implementation of the generated servicer."""

    FIELD_POINTERS = proto_mapping.FIELD_POINTERS

    def __init__(self, repository: PartnerCallsRepository, secret_box: SecretBox, clock: Clock) -> None:
        self._repository = repository
        self._secret_box = secret_box
        self._clock = clock

    async def list_catalog(self, request: v1.ListCatalogRequest) -> PreEncoded[v1.ListCatalogResponse]:
        """Return a page of the catalog. It is the largest response, so its rows are encoded without message objects."""
        page = await usecases.list_catalog(
            self._repository,
            self._clock,
            request.page_size,
            request.page_token,
            proto_mapping.sort_from_proto(CatalogSort, request.sort),
            CatalogFilter(request.partner_id, request.q, request.category),
        )
        return get_codec().encode_fields(
            v1.ListCatalogResponse,
            items=[proto_mapping.catalog_partner_to_proto(entry) for entry in page.items],
            next_page_token=page.next_page_token,
        )

    async def list_partner_products(self, request: v1.ListPartnerProductsRequest) -> v1.ListPartnerProductsResponse:
        """Return a page of the products on sale at a partner."""
        sort = proto_mapping.sort_from_proto(ProductSort, request.sort)
        page = await usecases.list_partner_products(
            self._repository, request.partner_id, request.page_size, request.page_token, sort, request.category
        )
        items = [proto_mapping.catalog_offer_to_proto(offer) for offer in page.items]
        return v1.ListPartnerProductsResponse(items=items, next_page_token=page.next_page_token)

    async def set_partner_picture(
        self, request: v1.SetPartnerPictureRequest, principal: Principal
    ) -> v1.SetPartnerPictureResponse:
        """Set a partner's picture."""
        partner, old_picture_url = await usecases.set_partner_picture(
            self._repository, self._clock, principal, request.partner_id, request.picture_url
        )
        return v1.SetPartnerPictureResponse(
            partner=proto_mapping.partner_to_proto(partner), old_picture_url=old_picture_url
        )

    async def set_product_picture(
        self, request: v1.SetProductPictureRequest, principal: Principal
    ) -> v1.SetProductPictureResponse:
        """Set a product's picture."""
        product, old_picture_url = await usecases.set_product_picture(
            self._repository, self._clock, principal, request.product_id, request.picture_url
        )
        return v1.SetProductPictureResponse(
            product=proto_mapping.product_to_proto(product), old_picture_url=old_picture_url
        )

    async def list_partner_pictures(self, request: v1.ListPartnerPicturesRequest) -> v1.ListPartnerPicturesResponse:
        """Return a page of picture URLs."""
        page = await usecases.list_partner_pictures(self._repository, request.page_size, request.page_token)
        return v1.ListPartnerPicturesResponse(
            picture_urls=[url for _, url in page.items], next_page_token=page.next_page_token
        )

    async def list_product_pictures(self, request: v1.ListProductPicturesRequest) -> v1.ListProductPicturesResponse:
        """Return a page of picture URLs."""
        page = await usecases.list_product_pictures(self._repository, request.page_size, request.page_token)
        return v1.ListProductPicturesResponse(
            picture_urls=[url for _, url in page.items], next_page_token=page.next_page_token
        )

    async def check_products(self, request: v1.CheckProductsRequest) -> v1.CheckProductsResponse:
        """Return a priced basket."""
        lines = [BasketLine(item.product_id, item.quantity) for item in request.items]
        partner, priced = await usecases.check_products(
            self._repository,
            self._clock,
            request.partner_id,
            lines,
            request.total_amount,
            request.currency,
            request.tip_amount,
        )
        return v1.CheckProductsResponse(
            partner=v1.PartnerSummary(id=partner.id, title=partner.title, brand=partner.brand),
            items=[v1.PricedItem(**asdict(line)) for line in priced],
            total_amount=request.total_amount,
            currency=request.currency,
            delivery_fee=partner.delivery_fee,
        )

    async def handle_ready_callback(self, request: v1.HandleReadyCallbackRequest) -> v1.HandleReadyCallbackResponse:
        """Parse and verify a ready callback, and publish its report."""
        await usecases.handle_ready_callback(
            self._repository,
            self._secret_box,
            self._clock,
            parse_ready_report(request),
            request.webhook_id,
            webhooks.create_verifier(request),
        )
        return v1.HandleReadyCallbackResponse()

    async def create_partner(
        self, request: v1.CreatePartnerRequest, principal: Principal
    ) -> PreEncoded[v1.CreatePartnerResponse]:
        """Create a partner. Return it with its webhook secret, which a replayed response does not contain."""
        # Without absent fields, so that new ones do not change the fingerprint of an idempotent request.
        values = {name: value for name in proto_mapping.PARTNER_FIELDS if (value := getattr(request, name)) is not None}
        secret = webhook_secrets.generate_secret()
        response = await usecases.create_partner(
            self._repository,
            principal,
            Partner(id=0, **values, webhook_secret=self._secret_box.encrypt(secret)),
            build_idempotency_key(principal, "createPartner", request.idempotency_key, values),
            proto_mapping.encode_created_partner,
        )
        webhook_secret = None if response.replayed else secret
        return get_codec().extend(
            response.data, v1.CreatePartnerResponse(webhook_secret=webhook_secret, replayed=response.replayed)
        )

    async def list_partners(self, request: v1.ListPartnersRequest, principal: Principal) -> v1.ListPartnersResponse:
        """Return a page of partners."""
        page = await usecases.list_partners(self._repository, principal, request.page_size, request.page_token)
        return v1.ListPartnersResponse(
            items=[proto_mapping.partner_to_proto(partner) for partner in page.items],
            next_page_token=page.next_page_token,
        )

    async def get_partner(self, request: v1.GetPartnerRequest, principal: Principal) -> v1.GetPartnerResponse:
        """Return a partner."""
        partner = await usecases.get_partner(self._repository, principal, request.partner_id)
        return v1.GetPartnerResponse(partner=proto_mapping.partner_to_proto(partner), version=partner.version)

    async def update_partner(self, request: v1.UpdatePartnerRequest, principal: Principal) -> v1.UpdatePartnerResponse:
        """Update the given fields of a partner and return it."""
        updates = {
            name: value for name in proto_mapping.PARTNER_FIELDS if (value := getattr(request, name)) is not None
        }
        check_removed_fields(request.remove, proto_mapping.OPTIONAL_PARTNER_FIELDS)
        updates |= dict.fromkeys(request.remove)
        expected = list_expected_versions(request.version, request.versions)
        partner = await usecases.update_partner(
            self._repository, self._clock, principal, request.partner_id, expected, updates
        )
        return v1.UpdatePartnerResponse(partner=proto_mapping.partner_to_proto(partner), version=partner.version)

    async def set_opening_hours(
        self, request: v1.SetOpeningHoursRequest, principal: Principal
    ) -> v1.SetOpeningHoursResponse:
        """Set the opening hours of a partner and return it."""
        expected = list_expected_versions(request.version, request.versions)
        hours = proto_mapping.opening_hours_from_proto(request)
        partner = await usecases.set_opening_hours(
            self._repository, self._clock, principal, request.partner_id, expected, hours
        )
        return v1.SetOpeningHoursResponse(partner=proto_mapping.partner_to_proto(partner), version=partner.version)

    async def remove_opening_hours(
        self, request: v1.RemoveOpeningHoursRequest, principal: Principal
    ) -> v1.RemoveOpeningHoursResponse:
        """Remove the opening hours of a partner."""
        await usecases.remove_opening_hours(self._repository, self._clock, principal, request.partner_id)
        return v1.RemoveOpeningHoursResponse()

    async def disable_partner(
        self, request: v1.DisablePartnerRequest, principal: Principal
    ) -> v1.DisablePartnerResponse:
        """Stop taking orders for a partner."""
        await usecases.disable_partner(self._repository, self._clock, principal, request.partner_id)
        return v1.DisablePartnerResponse()

    async def rotate_partner_secret(
        self, request: v1.RotatePartnerSecretRequest, principal: Principal
    ) -> v1.RotatePartnerSecretResponse:
        """Replace a partner's webhook secret and return the new one."""
        key = build_idempotency_key(principal, "rotatePartnerSecret", request.idempotency_key, request.partner_id)
        rotated = await usecases.rotate_partner_secret(
            self._repository, self._secret_box, self._clock, principal, request.partner_id, key
        )
        return v1.RotatePartnerSecretResponse(webhook_secret=rotated.secret, replayed=rotated.replayed)

    async def create_product(
        self, request: v1.CreateProductRequest, principal: Principal
    ) -> PreEncoded[v1.CreateProductResponse]:
        """Create a product and return it."""
        values = {name: getattr(request, name) for name in proto_mapping.PRODUCT_FIELDS}
        # Without an absent category, so that the fingerprint equals that of earlier releases.
        fingerprint = tuple(value for name, value in values.items() if name != "category" or value is not None)
        response = await usecases.create_product(
            self._repository,
            principal,
            Product(id=0, **values),
            build_idempotency_key(principal, "createProduct", request.idempotency_key, fingerprint),
            proto_mapping.encode_created_product,
        )
        return get_codec().extend(response.data, v1.CreateProductResponse(replayed=True) if response.replayed else None)

    async def list_products(self, request: v1.ListProductsRequest, principal: Principal) -> v1.ListProductsResponse:
        """Return a page of products."""
        page = await usecases.list_products(self._repository, principal, request.page_size, request.page_token)
        return v1.ListProductsResponse(
            items=[proto_mapping.product_to_proto(product) for product in page.items],
            next_page_token=page.next_page_token,
        )

    async def get_product(self, request: v1.GetProductRequest, principal: Principal) -> v1.GetProductResponse:
        """Return a product."""
        product = await usecases.get_product(self._repository, principal, request.product_id)
        return v1.GetProductResponse(product=proto_mapping.product_to_proto(product), version=product.version)

    async def update_product(self, request: v1.UpdateProductRequest, principal: Principal) -> v1.UpdateProductResponse:
        """Update the given fields of a product and return it."""
        updates = {
            name: value for name in proto_mapping.PRODUCT_FIELDS if (value := getattr(request, name)) is not None
        }
        check_removed_fields(request.remove, proto_mapping.OPTIONAL_PRODUCT_FIELDS)
        updates |= dict.fromkeys(request.remove)
        expected = list_expected_versions(request.version, request.versions)
        product = await usecases.update_product(
            self._repository, self._clock, principal, request.product_id, expected, updates
        )
        return v1.UpdateProductResponse(product=proto_mapping.product_to_proto(product), version=product.version)

    async def delete_product(self, request: v1.DeleteProductRequest, principal: Principal) -> v1.DeleteProductResponse:
        """Delete a product."""
        await usecases.delete_product(self._repository, self._clock, principal, request.product_id)
        return v1.DeleteProductResponse()

    async def set_availability(
        self, request: v1.SetAvailabilityRequest, principal: Principal
    ) -> v1.SetAvailabilityResponse:
        """Set the price of a product at a partner."""
        availability = await usecases.set_availability(
            self._repository,
            self._clock,
            principal,
            request.partner_id,
            request.product_id,
            Availability(request.price, request.currency, request.active),
        )
        return v1.SetAvailabilityResponse(availability=proto_mapping.availability_to_proto(availability))

    async def remove_availability(
        self, request: v1.RemoveAvailabilityRequest, principal: Principal
    ) -> v1.RemoveAvailabilityResponse:
        """Remove a product from a partner."""
        await usecases.remove_availability(
            self._repository, self._clock, principal, request.partner_id, request.product_id
        )
        return v1.RemoveAvailabilityResponse()

    async def list_partner_calls(
        self, request: v1.ListPartnerCallsRequest, principal: Principal
    ) -> v1.ListPartnerCallsResponse:
        """Return a page of calls to partner systems."""
        state = None if request.status is None else proto_mapping.call_state_from_proto(request.status)
        call_filter = CallFilter(request.partner_id, request.order_id, state)
        page = await usecases.list_partner_calls(
            self._repository, principal, request.page_size, request.page_token, call_filter
        )
        items = [proto_mapping.call_to_proto(call) for call in page.items]
        return v1.ListPartnerCallsResponse(items=items, next_page_token=page.next_page_token)

    async def replay_partner_call(
        self, request: v1.ReplayPartnerCallRequest, principal: Principal
    ) -> v1.ReplayPartnerCallResponse:
        """Make a call due now."""
        await usecases.replay_partner_call(self._repository, self._clock, principal, request.call_id)
        return v1.ReplayPartnerCallResponse()
