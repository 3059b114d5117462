"""The gRPC door of partners, as far as only admins come through it."""

import msgspec

from generated.problems import Reason
from generated.proto.delivery.partners import v1
from generated.proto.delivery.partners.v1.rpc import PartnersServicer
from services.partners import usecases
from services.partners.domain import Partner, Product
from services.partners.messages import availability_of, call_of, partner_of, product_of, to_availability
from services.partners.retries import CallState
from services.partners.usecases.ports import Store, Unit
from services.partners.usecases.secrets import new_secret
from services.runtime.clock import Clock
from services.runtime.codec import codec
from services.runtime.idempotency import Key
from services.runtime.principal import Principal
from services.runtime.refusal import FieldError, Refusal
from services.runtime.vault import Vault

PARTNER = ("title", "brand", "phone", "email", "address", "api_url", "verified", "enabled")
"""What of a partner an admin says."""


class AdminRpc(PartnersServicer):
    """Implements what of the generated servicer asks for an admin."""

    def __init__(self, store: Store, vault: Vault, clock: Clock) -> None:
        self._store = store
        self._vault = vault
        self._clock = clock

    async def create_partner(self, request: v1.CreatePartnerRequest, principal: Principal) -> v1.CreatePartnerResponse:
        """The partner, with its secret, which no repeated answer has."""
        said = {name: getattr(request, name) for name in PARTNER}
        secret = new_secret()

        async def work(unit: Unit) -> bytes:
            new = Partner(id=0, **said, webhook_secret=self._vault.lock(secret))
            partner = await usecases.create_partner(unit, principal, new)
            return codec().encode(v1.CreatePartnerResponse(partner=partner_of(partner), version=partner.version))

        kept = await self._store.once(_key(principal, "createPartner", request.idempotency_key, said), work)
        answer = codec().decode(v1.CreatePartnerResponse, kept.answer)
        answer.replayed = kept.replayed
        if not kept.replayed:
            answer.webhook_secret = secret
        return answer

    async def list_partners(self, request: v1.ListPartnersRequest, principal: Principal) -> v1.ListPartnersResponse:
        """A page of partners."""
        page = await usecases.list_partners(self._store, principal, request.page_size, request.page_token)
        return v1.ListPartnersResponse(
            items=[partner_of(partner) for partner in page.items], next_page_token=page.next_page_token
        )

    async def get_partner(self, request: v1.GetPartnerRequest, principal: Principal) -> v1.GetPartnerResponse:
        """One partner."""
        partner = await usecases.get_partner(self._store, principal, request.partner_id)
        return v1.GetPartnerResponse(partner=partner_of(partner), version=partner.version)

    async def update_partner(self, request: v1.UpdatePartnerRequest, principal: Principal) -> v1.UpdatePartnerResponse:
        """The partner as it is now."""
        said = {name: value for name in PARTNER if (value := getattr(request, name)) is not None}
        partner = await usecases.update_partner(
            self._store, self._clock, principal, request.partner_id, request.version, said
        )
        return v1.UpdatePartnerResponse(partner=partner_of(partner), version=partner.version)

    async def disable_partner(
        self, request: v1.DisablePartnerRequest, principal: Principal
    ) -> v1.DisablePartnerResponse:
        """It takes no orders."""
        await usecases.disable_partner(self._store, self._clock, principal, request.partner_id)
        return v1.DisablePartnerResponse()

    async def rotate_partner_secret(
        self, request: v1.RotatePartnerSecretRequest, principal: Principal
    ) -> v1.RotatePartnerSecretResponse:
        """A new secret."""
        secret = await usecases.rotate_partner_secret(
            self._store, self._vault, self._clock, principal, request.partner_id
        )
        return v1.RotatePartnerSecretResponse(webhook_secret=secret)

    async def create_product(self, request: v1.CreateProductRequest, principal: Principal) -> v1.CreateProductResponse:
        """The product."""
        said = (request.title, request.description, request.picture_url)

        async def work(unit: Unit) -> bytes:
            product = await usecases.create_product(unit, principal, Product(0, *said))
            return codec().encode(v1.CreateProductResponse(product=product_of(product), version=product.version))

        kept = await self._store.once(_key(principal, "createProduct", request.idempotency_key, said), work)
        answer = codec().decode(v1.CreateProductResponse, kept.answer)
        answer.replayed = kept.replayed
        return answer

    async def list_products(self, request: v1.ListProductsRequest, principal: Principal) -> v1.ListProductsResponse:
        """A page of products."""
        page = await usecases.list_products(self._store, principal, request.page_size, request.page_token)
        return v1.ListProductsResponse(
            items=[product_of(product) for product in page.items], next_page_token=page.next_page_token
        )

    async def get_product(self, request: v1.GetProductRequest, principal: Principal) -> v1.GetProductResponse:
        """One product."""
        product = await usecases.get_product(self._store, principal, request.product_id)
        return v1.GetProductResponse(product=product_of(product), version=product.version)

    async def update_product(self, request: v1.UpdateProductRequest, principal: Principal) -> v1.UpdateProductResponse:
        """The product as it is now."""
        names = ("title", "description", "picture_url")
        said = {name: value for name in names if (value := getattr(request, name)) is not None}
        if request.remove_picture:
            said["picture_url"] = None
        product = await usecases.update_product(
            self._store, self._clock, principal, request.product_id, request.version, said
        )
        return v1.UpdateProductResponse(product=product_of(product), version=product.version)

    async def delete_product(self, request: v1.DeleteProductRequest, principal: Principal) -> v1.DeleteProductResponse:
        """It is gone."""
        await usecases.delete_product(self._store, self._clock, principal, request.product_id)
        return v1.DeleteProductResponse()

    async def set_availability(
        self, request: v1.SetAvailabilityRequest, principal: Principal
    ) -> v1.SetAvailabilityResponse:
        """What it costs there now."""
        wanted = to_availability(request.availability)
        done = await usecases.set_availability(
            self._store, self._clock, principal, request.partner_id, request.product_id, wanted
        )
        return v1.SetAvailabilityResponse(availability=availability_of(done))

    async def remove_availability(
        self, request: v1.RemoveAvailabilityRequest, principal: Principal
    ) -> v1.RemoveAvailabilityResponse:
        """It is not sold there."""
        await usecases.remove_availability(self._store, self._clock, principal, request.partner_id, request.product_id)
        return v1.RemoveAvailabilityResponse()

    async def list_partner_calls(
        self, request: v1.ListPartnerCallsRequest, principal: Principal
    ) -> v1.ListPartnerCallsResponse:
        """A page of calls."""
        page = await usecases.list_partner_calls(
            self._store,
            principal,
            request.page_size,
            request.page_token,
            request.partner_id,
            request.order_id,
            None if request.status is None else _state(request.status),
        )
        items = [call_of(call) for call in page.items]
        return v1.ListPartnerCallsResponse(items=items, next_page_token=page.next_page_token)

    async def replay_partner_call(
        self, request: v1.ReplayPartnerCallRequest, principal: Principal
    ) -> v1.ReplayPartnerCallResponse:
        """It is due."""
        await usecases.replay_partner_call(self._store, self._clock, principal, request.call_id)
        return v1.ReplayPartnerCallResponse()


def _state(status: v1.PartnerCallStatus) -> CallState:
    """Refuses INVALID_REQUEST for a number that has no name yet."""
    try:
        return CallState[status.name or ""]
    except KeyError as error:
        raise Refusal(Reason.INVALID_REQUEST, errors=[FieldError("status", "is not known")]) from error


def _key(who: Principal, operation: str, key: str | None, request: object) -> Key | None:
    """`request` is what must be equal for the first answer to be right again."""
    return None if key is None else Key(who.user_id, operation, key, msgspec.json.encode(request))
