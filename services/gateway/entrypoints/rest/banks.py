"""REST handlers of banks and payments, for admins."""

from generated.proto.delivery.orders import v1
from generated.proto.delivery.orders.v1.rpc import OrdersStub
from generated.rest.delivery import convert, pages
from generated.rest.delivery.handlers import BanksHandler
from generated.rest.delivery.models import (
    Bank,
    BankPatch,
    CreateBankRequest,
    CreatedBank,
    NewBankSecret,
    PaymentPage,
)
from services.runtime.core.principal import Principal
from services.runtime.rest.preconditions import format_etag, parse_if_match_version
from services.runtime.rest.types import Response, none_to_unset, require, unset_to_none


class Banks(BanksHandler):
    """Operations tagged `banks`."""

    def __init__(self, orders: OrdersStub) -> None:
        self._orders = orders

    async def create_bank(
        self, *, principal: Principal, body: CreateBankRequest, idempotency_key: str | None = None
    ) -> Response[CreatedBank]:
        """Register a bank."""
        request = v1.CreateBankRequest(
            id=body.id,
            title=body.title,
            webcheckout_url=body.webcheckout_url.rstrip("/"),
            api_url=body.api_url.rstrip("/"),
            active=body.active,
            idempotency_key=idempotency_key,
        )
        response = await self._orders.create_bank(request)
        bank = require(response.bank)
        created = CreatedBank(
            id=bank.id,
            title=bank.title,
            webcheckout_url=bank.webcheckout_url,
            api_url=bank.api_url,
            active=bank.active,
            webhook_secret=none_to_unset(response.webhook_secret),
        )
        headers = {"Location": f"/api/v1/banks/{bank.id}", "ETag": format_etag(response.version)}
        return Response(created, headers, replayed=response.replayed)

    async def get_bank(self, *, principal: Principal, bank_id: str) -> Response[Bank]:
        """Return the bank."""
        response = await self._orders.get_bank(v1.GetBankRequest(bank_id=bank_id))
        return Response(convert.bank(require(response.bank)), {"ETag": format_etag(response.version)})

    async def update_bank(
        self, *, principal: Principal, bank_id: str, body: BankPatch, if_match: str | None = None
    ) -> Response[Bank]:
        """Update a bank."""
        webcheckout_url, api_url = unset_to_none(body.webcheckout_url), unset_to_none(body.api_url)
        request = v1.UpdateBankRequest(
            bank_id=bank_id,
            title=unset_to_none(body.title),
            webcheckout_url=webcheckout_url and webcheckout_url.rstrip("/"),
            api_url=api_url and api_url.rstrip("/"),
            active=unset_to_none(body.active),
            version=parse_if_match_version(if_match),
        )
        response = await self._orders.update_bank(request)
        return Response(convert.bank(require(response.bank)), {"ETag": format_etag(response.version)})

    async def rotate_bank_secret(self, *, principal: Principal, bank_id: str) -> NewBankSecret:
        """Replace the webhook secret."""
        response = await self._orders.rotate_bank_secret(v1.RotateBankSecretRequest(bank_id=bank_id))
        return NewBankSecret(webhook_secret=response.webhook_secret)

    async def list_payments(
        self,
        *,
        principal: Principal,
        page_size: int = 20,
        page_token: str | None = None,
        order_id: str | None = None,
        bank_id: str | None = None,
    ) -> PaymentPage:
        """Return a page of payments."""
        request = v1.ListPaymentsRequest(
            page_size=page_size, page_token=page_token or "", order_id=order_id, bank_id=bank_id
        )
        return await self._orders.list_payments(request, pages.payment_page)
