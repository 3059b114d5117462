"""gRPC service of catalog and orders with grpc.aio and google.protobuf; the raw driver serves whole orders.

python -m bench.baselines.grpc_backend PORT orm|raw
"""

import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import uvloop

from bench.baselines import order_rules
from bench.baselines.messages import PARTNER_STATE_FIELDS, get_message_types, get_rpc_path
from bench.baselines.order_life_servicer import OrderLifeServicer, build_order_fields
from bench.baselines.order_life_store import OrderLifeStore
from bench.baselines.store import RawRepository, Repository, Row, create_repository


class BackendServicer:
    """Servicer of the four RPCs up to the confirmation."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    async def list_catalog(self, request: Any, _context: Any) -> Any:
        """Return a page of partners."""
        after = int(request.page_token or 0)
        rows = await self._repository.list_catalog(after, request.page_size + 1)
        response = get_message_types("catalog")[1]()
        for row in rows[: request.page_size]:
            partner = response.items.add(
                id=row["id"],
                title=row["title"],
                brand=row["brand"],
                address=row["address"],
                **{name: row[name] for name in PARTNER_STATE_FIELDS},
            )
            for product in row["products"]:
                partner.products.add(**product)
        if len(rows) > request.page_size:
            response.next_page_token = str(rows[request.page_size - 1]["id"])
        return response

    async def check_products(self, request: Any, context: Any) -> Any:
        """Return the priced basket."""
        items = [{"product_id": item.product_id, "quantity": item.quantity} for item in request.items]
        try:
            partner, priced = await order_rules.price_basket(
                self._repository, request.partner_id, items, request.total_amount, request.currency
            )
        except order_rules.OrderError as error:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        return get_message_types("check")[1](
            partner=partner, items=priced, total_amount=request.total_amount, currency=request.currency
        )

    async def create_order(self, request: Any, context: Any) -> Any:
        """Create an order."""
        basket = request.basket
        fields: Row = {
            "partner": {name: getattr(basket.partner, name) for name in ("id", "title", "brand")},
            "items": [
                {name: getattr(item, name) for name in ("product_id", "title", "quantity", "price")}
                for item in basket.items
            ],
            **{name: getattr(basket, name) for name in ("total_amount", "currency", "bank_id", "delivery_address")},
            "customer_name": basket.customer_name or None,
            "customer_phone": basket.customer_phone or None,
        }
        customer = dict(context.invocation_metadata())["x-user"]
        try:
            order, payment = await order_rules.create_order(self._repository, request.check_id, customer, fields)
        except order_rules.OrderError as error:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        return get_message_types("create")[1](order=build_order_fields(order), payment=payment)

    async def get_order(self, request: Any, context: Any) -> Any:
        """Return an order of the customer."""
        customer = dict(context.invocation_metadata())["x-user"]
        row = await self._repository.find_order(request.order_id, customer)
        if row is not None:
            return get_message_types("order")[1](order=build_order_fields(row))
        return await context.abort(grpc.StatusCode.NOT_FOUND, "ORDER_NOT_FOUND")


async def serve(port: int, kind: str) -> None:
    """Serve until the process is killed."""
    repository = create_repository(kind, os.environ["BASELINE_DATABASE_URL"])
    await repository.open()
    backend = BackendServicer(repository)
    methods: dict[str, Callable[[Any, Any], Awaitable[Any]]] = {
        "catalog": backend.list_catalog,
        "check": backend.check_products,
        "create": backend.create_order,
        "order": backend.get_order,
    }
    if isinstance(repository, RawRepository):
        life = OrderLifeServicer(OrderLifeStore(repository.pool))
        methods |= {
            "pay": life.handle_payment_callback,
            "ready": life.handle_ready_callback,
            "assign": life.assign_order,
            "complete": life.complete_order,
        }
    server = grpc.aio.server()
    by_service: dict[str, dict[str, grpc.RpcMethodHandler[Any, Any]]] = {}
    for name, method in methods.items():
        service, _, short = get_rpc_path(name).strip("/").partition("/")
        request, response = get_message_types(name)
        by_service.setdefault(service, {})[short] = grpc.unary_unary_rpc_method_handler(
            method,
            request_deserializer=request.FromString,
            response_serializer=response.SerializeToString,
        )
    for service, handlers in by_service.items():
        server.add_registered_method_handlers(service, handlers)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), sys.argv[2]))
