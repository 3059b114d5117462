"""FastAPI application with JWT verification in Python and pydantic, in front of a gRPC service or the database.

`BASELINE_BACKEND` selects the backend: `host:port` of a gRPC service, `orm` or `raw`.
"""

import os
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, Protocol

import grpc
import jwt
import msgspec
from fastapi import Depends, FastAPI, HTTPException, Query, Request
from starlette.concurrency import run_in_threadpool

from bench.baselines import order_rules
from bench.baselines.messages import PARTNER_STATE_FIELDS, get_message_types, get_rpc_path
from bench.baselines.models import CatalogPage, CheckOrder, ConfirmedOrder, ConfirmOrder, Order, OrderCheck
from bench.baselines.store import Repository, Row, create_repository
from services.runtime.storage.memcached import MemcachedServer, create_client

CHECK_LIFETIME_S = 600
CACHE_TIMEOUT_S = 1.0


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
        for name in ("catalog", "check", "create", "order"):
            request, response = get_message_types(name)
            stubs[name] = channel.unary_unary(
                get_rpc_path(name),
                request_serializer=request.SerializeToString,
                response_deserializer=response.FromString,
            )
        return stubs

    async def _call_rpc(self, name: str, customer: str, **fields: Any) -> Any:
        try:
            return await self._stubs[name](
                get_message_types(name)[0](**fields), metadata=(("x-user", customer),), timeout=5
            )
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return None
            raise HTTPException(422, error.details()) from error

    async def list_catalog(self, after: str, size: int) -> Row:
        """Return a page of partners."""
        page = await self._call_rpc("catalog", "", page_size=size, page_token=after)
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
        response = await self._call_rpc("check", "", **{name: basket[name] for name in names})
        return {
            "partner": _build_partner_fields(response.partner),
            "items": [_build_item_fields(item) for item in response.items],
        }

    async def create_order(self, check_id: str, customer: str, basket: Row) -> Row:
        """Create an order. Return it with its payment details."""
        fields = {name: value for name, value in basket.items() if value is not None}
        response = await self._call_rpc("create", customer, check_id=check_id, basket=fields)
        payment = {"webcheckout_url": response.payment.webcheckout_url, "callback_url": response.payment.callback_url}
        return {"order": _build_order_fields(response.order), "payment": payment}

    async def get_order(self, order_id: str, customer: str) -> Row | None:
        """Return the order, or None if it does not exist."""
        response = await self._call_rpc("order", customer, order_id=order_id)
        return None if response is None else _build_order_fields(response.order)


def _build_partner_fields(message: Any) -> Row:
    return {"id": message.id, "title": message.title, "brand": message.brand}


def _build_item_fields(item: Any) -> Row:
    return {"product_id": item.product_id, "title": item.title, "quantity": item.quantity, "price": item.price}


def _build_order_fields(order: Any) -> Row:
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


jwks_client = jwt.PyJWKClient(os.environ["BASELINE_JWKS_URL"], cache_keys=True)
PROJECT_ID = "delivery-local"


def verify_token(request: Request) -> str:
    """Return the user id of the verified token. Raises HTTPException."""
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    try:
        key = jwks_client.get_signing_key_from_jwt(token)
        claims = jwt.decode(
            token, key, algorithms=["RS256"], audience=PROJECT_ID, issuer=f"https://securetoken.google.com/{PROJECT_ID}"
        )
    except jwt.PyJWTError as error:
        raise HTTPException(401) from error
    if claims.get("role", "customer") not in ("customer", "admin", "deliverer"):
        raise HTTPException(403)
    return str(claims["sub"])


async def authenticate(request: Request) -> str:
    """Return the user id of the verified token. A coroutine, so that FastAPI does not run it in a thread."""
    return verify_token(request)


CustomerId = Annotated[str, Depends(authenticate)]


async def connect() -> None:
    """Connect to the backend and the cache."""
    backend = os.environ["BASELINE_BACKEND"]
    if ":" in backend:
        app.state.backend = GrpcBackend(backend)
    else:
        repository = create_repository(backend, os.environ["BASELINE_DATABASE_URL"])
        await repository.open()
        app.state.backend = DatabaseBackend(repository)
    server = MemcachedServer(*os.environ["BASELINE_CACHE"].split())
    app.state.cache = create_client(server, timeout_s=CACHE_TIMEOUT_S, max_connections=64)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Connect at startup."""
    await connect()
    yield


app = FastAPI(lifespan=lifespan)


@app.get("/api/v1/catalog", response_model_exclude_none=True)
async def list_catalog(
    request: Request,
    customer_id: CustomerId,
    page_size: Annotated[int, Query(ge=1, le=100)] = 20,
    page_token: Annotated[str, Query(pattern="^[0-9]*$")] = "",
) -> CatalogPage:
    """Return a page of partners."""
    return CatalogPage.model_validate(await request.app.state.backend.list_catalog(page_token, page_size))


@app.post("/api/v1/order-checks", status_code=201, response_model_exclude_none=True)
async def check_order(request: Request, customer_id: CustomerId, body: CheckOrder) -> OrderCheck:
    """Price a basket and cache it for ten minutes."""
    checked = body.model_dump()
    if len({item["product_id"] for item in checked["items"]}) < len(checked["items"]):
        raise HTTPException(400)
    priced = await request.app.state.backend.price_basket(checked)
    check_id = secrets.token_urlsafe(16)
    basket = {name: value for name, value in checked.items() if name != "partner_id"} | priced
    entry = msgspec.json.encode({"customer": customer_id, "basket": basket})
    await run_in_threadpool(request.app.state.cache.set, check_id, entry, CHECK_LIFETIME_S)
    return OrderCheck(
        check_id=check_id,
        expires_at=datetime.fromtimestamp(time.time() + CHECK_LIFETIME_S, UTC),
        total_amount=body.total_amount,
        currency=body.currency,
        **priced,
    )


@app.post("/api/v1/orders", status_code=201, response_model_exclude_none=True)
async def confirm_order(request: Request, customer_id: CustomerId, body: ConfirmOrder) -> ConfirmedOrder:
    """Create an order from a check."""
    entry = await run_in_threadpool(request.app.state.cache.get, body.check_id)
    check = msgspec.json.decode(entry) if entry else None
    if check is None or check["customer"] != customer_id:
        raise HTTPException(410)
    confirmed = await request.app.state.backend.create_order(body.check_id, customer_id, check["basket"])
    return ConfirmedOrder.model_validate(confirmed)


@app.get("/api/v1/orders/{order_id}", response_model_exclude_none=True)
async def get_order(request: Request, customer_id: CustomerId, order_id: str) -> Order:
    """Return an order of the customer."""
    order = await request.app.state.backend.get_order(order_id, customer_id)
    if order is None:
        raise HTTPException(404)
    return Order.model_validate(order)
