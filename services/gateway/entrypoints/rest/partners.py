"""REST handlers of partners, product availability and partner calls, for admins."""

from generated.proto.delivery.partners import v1
from generated.proto.delivery.partners.v1.rpc import PartnersStub
from generated.rest.delivery import convert, pages
from generated.rest.delivery.handlers import PartnersHandler
from generated.rest.delivery.models import (
    Availability,
    CreatedPartner,
    CreatePartnerRequest,
    NewPartnerSecret,
    Partner,
    PartnerCallPage,
    PartnerCallStatus,
    PartnerPage,
    PartnerPatch,
    SetAvailabilityRequest,
)
from services.runtime.core.principal import Principal
from services.runtime.rest.preconditions import format_etag, parse_if_match_version
from services.runtime.rest.types import Response, none_to_unset, require, unset_to_none


class Partners(PartnersHandler):
    """Operations tagged `partners`."""

    def __init__(self, partners: PartnersStub) -> None:
        self._partners = partners

    async def create_partner(
        self, *, principal: Principal, body: CreatePartnerRequest, idempotency_key: str | None = None
    ) -> Response[CreatedPartner]:
        """Register a partner."""
        request = v1.CreatePartnerRequest(
            title=body.title,
            brand=body.brand,
            phone=body.phone,
            email=body.email,
            address=body.address,
            api_url=body.api_url.rstrip("/"),
            verified=body.verified,
            enabled=body.enabled,
            idempotency_key=idempotency_key,
        )
        response = await self._partners.create_partner(request)
        partner = require(response.partner)
        created = CreatedPartner(
            id=partner.id,
            title=partner.title,
            brand=partner.brand,
            phone=partner.phone,
            email=partner.email,
            address=partner.address,
            api_url=partner.api_url,
            verified=partner.verified,
            enabled=partner.enabled,
            webhook_secret=none_to_unset(response.webhook_secret),
        )
        headers = {"Location": f"/api/v1/partners/{partner.id}", "ETag": format_etag(response.version)}
        return Response(created, headers, replayed=response.replayed)

    async def list_partners(
        self, *, principal: Principal, page_size: int = 20, page_token: str | None = None
    ) -> PartnerPage:
        """Return a page of partners, ordered by id."""
        request = v1.ListPartnersRequest(page_size=page_size, page_token=page_token or "")
        return await self._partners.list_partners(request, pages.partner_page)

    async def get_partner(self, *, principal: Principal, partner_id: int) -> Response[Partner]:
        """Return the partner."""
        response = await self._partners.get_partner(v1.GetPartnerRequest(partner_id=partner_id))
        return Response(convert.partner(require(response.partner)), {"ETag": format_etag(response.version)})

    async def update_partner(
        self, *, principal: Principal, partner_id: int, body: PartnerPatch, if_match: str | None = None
    ) -> Response[Partner]:
        """Update a partner."""
        api_url = unset_to_none(body.api_url)
        request = v1.UpdatePartnerRequest(
            partner_id=partner_id,
            title=unset_to_none(body.title),
            brand=unset_to_none(body.brand),
            phone=unset_to_none(body.phone),
            email=unset_to_none(body.email),
            address=unset_to_none(body.address),
            api_url=api_url and api_url.rstrip("/"),
            verified=unset_to_none(body.verified),
            enabled=unset_to_none(body.enabled),
            version=parse_if_match_version(if_match),
        )
        response = await self._partners.update_partner(request)
        return Response(convert.partner(require(response.partner)), {"ETag": format_etag(response.version)})

    async def disable_partner(self, *, principal: Principal, partner_id: int) -> None:
        """Disable a partner."""
        await self._partners.disable_partner(v1.DisablePartnerRequest(partner_id=partner_id))

    async def rotate_partner_secret(self, *, principal: Principal, partner_id: int) -> NewPartnerSecret:
        """Replace the webhook secret."""
        response = await self._partners.rotate_partner_secret(v1.RotatePartnerSecretRequest(partner_id=partner_id))
        return NewPartnerSecret(webhook_secret=response.webhook_secret)

    async def set_availability(
        self, *, principal: Principal, partner_id: int, product_id: int, body: SetAvailabilityRequest
    ) -> Availability:
        """Set price and availability of a product at a partner."""
        availability = v1.Availability(price=body.price, currency=body.currency, active=body.active)
        request = v1.SetAvailabilityRequest(partner_id=partner_id, product_id=product_id, availability=availability)
        response = await self._partners.set_availability(request)
        return convert.availability(require(response.availability))

    async def remove_availability(self, *, principal: Principal, partner_id: int, product_id: int) -> None:
        """Remove a product from a partner."""
        await self._partners.remove_availability(
            v1.RemoveAvailabilityRequest(partner_id=partner_id, product_id=product_id)
        )

    async def list_partner_calls(
        self,
        *,
        principal: Principal,
        page_size: int = 20,
        page_token: str | None = None,
        partner_id: int | None = None,
        order_id: str | None = None,
        status: PartnerCallStatus | None = None,
    ) -> PartnerCallPage:
        """Return a page of calls to partner systems, newest first."""
        request = v1.ListPartnerCallsRequest(
            page_size=page_size,
            page_token=page_token or "",
            partner_id=partner_id,
            order_id=order_id,
            status=None if status is None else v1.PartnerCallStatus[status.name.upper()],
        )
        return await self._partners.list_partner_calls(request, pages.partner_call_page)

    async def replay_partner_call(self, *, principal: Principal, call_id: str) -> None:
        """Repeat a partner call."""
        await self._partners.replay_partner_call(v1.ReplayPartnerCallRequest(call_id=call_id))
