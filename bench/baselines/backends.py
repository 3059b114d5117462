"""Backends of the FastAPI application: a gRPC service, or the database."""

from datetime import UTC
from typing import Any, Protocol

import grpc
from fastapi import HTTPException

from bench.baselines import order_rules
from bench.baselines.messages import PARTNER_STATE_FIELDS, RPC_METHODS, get_message_types, get_rpc_path
from bench.baselines.store import Repository, Row

HTTP_STATUSES = {grpc.StatusCode.UNAUTHENTICATED: 401, grpc.StatusCode.ABORTED: 409}


class Backend(Protocol):
    """Source of partners and orders."""

    async def list_catalog(self, after: str, size: int) -> Row:
        """Return a page of partners."""

    async def price_basket(self, basket: Row) -> Row:
        """Return the basket with its prices."""

    async def create_order(self, check_id: str, customer: str, basket: Row) -> Row:
        """Create an order. Return it with its payment details."""

    async def get_order(self, order_id: str, customer: str) -> Row | None:
        """Return the order, or None if it does not exist."""


class GrpcBackend:
    """Backend that calls a gRPC service."""

    def __init__(self, target: str) -> None:
        self._stubs = self.create_stubs(grpc.aio.insecure_channel(target))

    def create_stubs(self, channel: Any) -> dict[str, Any]:
        """Return a callable per RPC."""
        stubs = {}
        for name in RPC_METHODS:
            request, response = get_message_types(name)
            stubs[name] = channel.unary_unary(
                get_rpc_path(name),
                request_serializer=request.SerializeToString,
                response_deserializer=response.FromString,
            )
        return stubs

    async def call_rpc(self, name: str, user_id: str, **fields: Any) -> Any:
        """Return the response of an RPC, or None for NOT_FOUND. Raises HTTPException for other errors."""
        try:
            return await self._stubs[name](
                get_message_types(name)[0](**fields), metadata=(("x-user", user_id),), timeout=5
            )
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return None
            raise HTTPException(HTTP_STATUSES.get(error.code(), 422), error.details()) from error

    async def list_catalog(self, after: str, size: int) -> Row:
        """Return a page of partners."""
        page = await self.call_rpc("catalog", "", page_size=size, page_token=after)
        return {
            "items": [
                {
                    "id": partner.id,
                    "title": partner.title,
                    "brand": partner.brand,
                    "address": partner.address,
                    "products": [
                        {
                            "id": product.id,
                            "title": product.title,
                            "description": product.description,
                            "picture_url": product.picture_url or None,
                            "price": product.price,
                            "currency": product.currency,
                        }
                        for product in partner.products
                    ],
                    **{name: getattr(partner, name) for name in PARTNER_STATE_FIELDS},
                }
                for partner in page.items
            ],
            "next_page_token": page.next_page_token or None,
        }

    async def price_basket(self, basket: Row) -> Row:
        """Return the basket with its prices."""
        names = ("partner_id", "items", "total_amount", "currency")
        response = await self.call_rpc("check", "", **{name: basket[name] for name in names})
        return {
            "partner": _build_partner_fields(response.partner),
            "items": [_build_item_fields(item) for item in response.items],
        }

    async def create_order(self, check_id: str, customer: str, basket: Row) -> Row:
        """Create an order. Return it with its payment details."""
        fields = {name: value for name, value in basket.items() if value is not None}
        response = await self.call_rpc("create", customer, check_id=check_id, basket=fields)
        payment = {"webcheckout_url": response.payment.webcheckout_url, "callback_url": response.payment.callback_url}
        return {"order": build_order_fields(response.order), "payment": payment}

    async def get_order(self, order_id: str, customer: str) -> Row | None:
        """Return the order, or None if it does not exist."""
        response = await self.call_rpc("order", customer, order_id=order_id)
        return None if response is None else build_order_fields(response.order)


def _build_partner_fields(message: Any) -> Row:
    return {"id": message.id, "title": message.title, "brand": message.brand}


def _build_item_fields(item: Any) -> Row:
    return {"product_id": item.product_id, "title": item.title, "quantity": item.quantity, "price": item.price}


def build_order_fields(order: Any) -> Row:
    """Return the fields of an order message."""
    values = order.DESCRIPTOR.fields_by_name
    status = values["status"].enum_type.values_by_number[order.status].name
    refund = values["refund_status"].enum_type.values_by_number[order.refund_status].name
    plain = ("id", "customer_id", "total_amount", "currency", "paid_amount", "refunded_amount", "bank_id")
    return {
        **{name: getattr(order, name) for name in (*plain, "delivery_address", "version")},
        "status": status.removeprefix("ORDER_STATUS_").lower(),
        "refund_status": refund.removeprefix("REFUND_STATUS_").lower(),
        "customer_name": order.customer_name or None,
        "customer_phone": order.customer_phone or None,
        "payment_id": order.payment_id or None,
        "pickup_address": order.pickup_address or None,
        "deliverer_id": order.deliverer_id or None,
        "partner": _build_partner_fields(order.partner),
        "items": [_build_item_fields(item) for item in order.items],
        "created_at": order.created_at.ToDatetime(tzinfo=UTC),
        "updated_at": order.updated_at.ToDatetime(tzinfo=UTC),
    }


class DatabaseBackend:
    """Backend that queries the database directly."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    async def list_catalog(self, after: str, size: int) -> Row:
        """Return a page of partners."""
        rows = await self._repository.list_catalog(int(after or 0), size + 1)
        return {"items": rows[:size], "next_page_token": str(rows[size - 1]["id"]) if len(rows) > size else None}

    async def price_basket(self, basket: Row) -> Row:
        """Return the basket with its prices."""
        try:
            partner, priced = await order_rules.price_basket(
                self._repository, basket["partner_id"], basket["items"], basket["total_amount"], basket["currency"]
            )
        except order_rules.OrderError as error:
            raise HTTPException(422, str(error)) from error
        return {"partner": partner, "items": priced}

    async def create_order(self, check_id: str, customer: str, basket: Row) -> Row:
        """Create an order. Return it with its payment details."""
        try:
            order, payment = await order_rules.create_order(self._repository, check_id, customer, basket)
        except order_rules.OrderError as error:
            raise HTTPException(422, str(error)) from error
        return {"order": order, "payment": payment}

    async def get_order(self, order_id: str, customer: str) -> Row | None:
        """Return the order, or None if it does not exist."""
        return await self._repository.find_order(order_id, customer)
