"""FastAPI application with JWT verification in Python and pydantic, in front of a gRPC service or the database.

`BASELINE_BACKEND` selects the backend: `host:port` of a gRPC service, `orm` or `raw`.
"""

import os
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from fastapi import FastAPI, HTTPException, Query, Request
from starlette.concurrency import run_in_threadpool

from bench.baselines import order_life_routes
from bench.baselines.authentication import CustomerId
from bench.baselines.backends import DatabaseBackend, GrpcBackend
from bench.baselines.models import CatalogPage, CheckOrder, ConfirmedOrder, ConfirmOrder, Order, OrderCheck
from bench.baselines.store import create_repository
from services.runtime.storage.memcached import MemcachedServer, create_client

CHECK_LIFETIME_S = 600
CACHE_TIMEOUT_S = 1.0


async def connect() -> None:
    """Connect to the backend and the cache."""
    backend = os.environ["BASELINE_BACKEND"]
    if ":" in backend:
        app.state.backend = GrpcBackend(backend)
    else:
        repository = create_repository(backend, os.environ["BASELINE_DATABASE_URL"])
        await repository.open()
        app.state.backend = DatabaseBackend(repository)
    address, username, password = os.environ["BASELINE_CACHE"].split()
    server = MemcachedServer(address, username, password)
    app.state.cache = create_client(server, timeout_s=CACHE_TIMEOUT_S, max_connections=64)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Connect at startup."""
    await connect()
    yield


app = FastAPI(lifespan=lifespan)
app.include_router(order_life_routes.router)


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
