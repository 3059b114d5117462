"""The gRPC door of partners, as far as only admins come through it."""

import msgspec

from generated.problems import Reason
from generated.proto.delivery.partners import v1
from generated.proto.delivery.partners.v1.rpc import PartnersServicer
from services.partners import usecases
from services.partners.domain.call_policy import CallState
from services.partners.domain.partners import Partner, Product
from services.partners.entrypoints.proto_mapping import (
    availability_from_proto,
    availability_to_proto,
    call_to_proto,
    partner_to_proto,
    product_to_proto,
)
from services.partners.usecases.ports import Repository, UnitOfWork
from services.partners.usecases.webhook_secrets import new_secret
from services.runtime.core.clock import Clock
from services.runtime.core.errors import ApiError, FieldError
from services.runtime.core.principal import Principal
from services.runtime.rpc.codec import get_codec
from services.runtime.storage.encryption import SecretBox
from services.runtime.storage.idempotency import IdempotencyKey

PARTNER_FIELDS = ("title", "brand", "phone", "email", "address", "api_url", "verified", "enabled")
"""What of a partner an admin says."""


class PartnersAdminRpc(PartnersServicer):
    """Implements what of the generated servicer asks for an admin."""

    def __init__(self, repository: Repository, secret_box: SecretBox, clock: Clock) -> None:
        self._repository = repository
        self._secret_box = secret_box
        self._clock = clock

    async def create_partner(self, request: v1.CreatePartnerRequest, principal: Principal) -> v1.CreatePartnerResponse:
        """The partner, with its secret, which no repeated answer has."""
        said = {name: getattr(request, name) for name in PARTNER_FIELDS}
        secret = new_secret()

        async def work(unit: UnitOfWork) -> bytes:
            new = Partner(id=0, **said, webhook_secret=self._secret_box.encrypt(secret))
            partner = await usecases.create_partner(unit, principal, new)
            return get_codec().encode(
                v1.CreatePartnerResponse(partner=partner_to_proto(partner), version=partner.version)
            )

        kept = await self._repository.run_idempotently(
            _build_idempotency_key(principal, "createPartner", request.idempotency_key, said), work
        )
        answer = get_codec().decode(v1.CreatePartnerResponse, kept.response)
        answer.replayed = kept.replayed
        if not kept.replayed:
            answer.webhook_secret = secret
        return answer

    async def list_partners(self, request: v1.ListPartnersRequest, principal: Principal) -> v1.ListPartnersResponse:
        """A page of partners."""
        page = await usecases.list_partners(self._repository, principal, request.page_size, request.page_token)
        return v1.ListPartnersResponse(
            items=[partner_to_proto(partner) for partner in page.items], next_page_token=page.next_page_token
        )

    async def get_partner(self, request: v1.GetPartnerRequest, principal: Principal) -> v1.GetPartnerResponse:
        """One partner."""
        partner = await usecases.get_partner(self._repository, principal, request.partner_id)
        return v1.GetPartnerResponse(partner=partner_to_proto(partner), version=partner.version)

    async def update_partner(self, request: v1.UpdatePartnerRequest, principal: Principal) -> v1.UpdatePartnerResponse:
        """The partner as it is now."""
        said = {name: value for name in PARTNER_FIELDS if (value := getattr(request, name)) is not None}
        partner = await usecases.update_partner(
            self._repository, self._clock, principal, request.partner_id, request.version, said
        )
        return v1.UpdatePartnerResponse(partner=partner_to_proto(partner), version=partner.version)

    async def disable_partner(
        self, request: v1.DisablePartnerRequest, principal: Principal
    ) -> v1.DisablePartnerResponse:
        """It takes no orders."""
        await usecases.disable_partner(self._repository, self._clock, principal, request.partner_id)
        return v1.DisablePartnerResponse()

    async def rotate_partner_secret(
        self, request: v1.RotatePartnerSecretRequest, principal: Principal
    ) -> v1.RotatePartnerSecretResponse:
        """A new secret."""
        secret = await usecases.rotate_partner_secret(
            self._repository, self._secret_box, self._clock, principal, request.partner_id
        )
        return v1.RotatePartnerSecretResponse(webhook_secret=secret)

    async def create_product(self, request: v1.CreateProductRequest, principal: Principal) -> v1.CreateProductResponse:
        """The product."""
        said = (request.title, request.description, request.picture_url)

        async def work(unit: UnitOfWork) -> bytes:
            product = await usecases.create_product(unit, principal, Product(0, *said))
            return get_codec().encode(
                v1.CreateProductResponse(product=product_to_proto(product), version=product.version)
            )

        kept = await self._repository.run_idempotently(
            _build_idempotency_key(principal, "createProduct", request.idempotency_key, said), work
        )
        answer = get_codec().decode(v1.CreateProductResponse, kept.response)
        answer.replayed = kept.replayed
        return answer

    async def list_products(self, request: v1.ListProductsRequest, principal: Principal) -> v1.ListProductsResponse:
        """A page of products."""
        page = await usecases.list_products(self._repository, principal, request.page_size, request.page_token)
        return v1.ListProductsResponse(
            items=[product_to_proto(product) for product in page.items], next_page_token=page.next_page_token
        )

    async def get_product(self, request: v1.GetProductRequest, principal: Principal) -> v1.GetProductResponse:
        """One product."""
        product = await usecases.get_product(self._repository, principal, request.product_id)
        return v1.GetProductResponse(product=product_to_proto(product), version=product.version)

    async def update_product(self, request: v1.UpdateProductRequest, principal: Principal) -> v1.UpdateProductResponse:
        """The product as it is now."""
        names = ("title", "description", "picture_url")
        said = {name: value for name in names if (value := getattr(request, name)) is not None}
        if request.remove_picture:
            said["picture_url"] = None
        product = await usecases.update_product(
            self._repository, self._clock, principal, request.product_id, request.version, said
        )
        return v1.UpdateProductResponse(product=product_to_proto(product), version=product.version)

    async def delete_product(self, request: v1.DeleteProductRequest, principal: Principal) -> v1.DeleteProductResponse:
        """It is gone."""
        await usecases.delete_product(self._repository, self._clock, principal, request.product_id)
        return v1.DeleteProductResponse()

    async def set_availability(
        self, request: v1.SetAvailabilityRequest, principal: Principal
    ) -> v1.SetAvailabilityResponse:
        """What it costs there now."""
        wanted = availability_from_proto(request.availability)
        done = await usecases.set_availability(
            self._repository, self._clock, principal, request.partner_id, request.product_id, wanted
        )
        return v1.SetAvailabilityResponse(availability=availability_to_proto(done))

    async def remove_availability(
        self, request: v1.RemoveAvailabilityRequest, principal: Principal
    ) -> v1.RemoveAvailabilityResponse:
        """It is not sold there."""
        await usecases.remove_availability(
            self._repository, self._clock, principal, request.partner_id, request.product_id
        )
        return v1.RemoveAvailabilityResponse()

    async def list_partner_calls(
        self, request: v1.ListPartnerCallsRequest, principal: Principal
    ) -> v1.ListPartnerCallsResponse:
        """A page of calls."""
        page = await usecases.list_partner_calls(
            self._repository,
            principal,
            request.page_size,
            request.page_token,
            request.partner_id,
            request.order_id,
            None if request.status is None else _call_state_from_proto(request.status),
        )
        items = [call_to_proto(call) for call in page.items]
        return v1.ListPartnerCallsResponse(items=items, next_page_token=page.next_page_token)

    async def replay_partner_call(
        self, request: v1.ReplayPartnerCallRequest, principal: Principal
    ) -> v1.ReplayPartnerCallResponse:
        """It is due."""
        await usecases.replay_partner_call(self._repository, self._clock, principal, request.call_id)
        return v1.ReplayPartnerCallResponse()


def _call_state_from_proto(status: v1.PartnerCallStatus) -> CallState:
    """Refuses INVALID_REQUEST for a number that has no name yet."""
    try:
        return CallState[status.name or ""]
    except KeyError as error:
        raise ApiError(Reason.INVALID_REQUEST, errors=[FieldError("status", "is not known")]) from error


def _build_idempotency_key(
    principal: Principal, operation: str, key: str | None, request: object
) -> IdempotencyKey | None:
    """`request` is what must be equal for the first answer to be right again."""
    return None if key is None else IdempotencyKey(principal.user_id, operation, key, msgspec.json.encode(request))
