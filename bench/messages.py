"""Messages alone: what they cost beside google.protobuf's own, in the same process, in turns."""

import random
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import msgspec

from bench.canned import check
from bench.mesh import basket, partners, products
from bench.peers.messages import types
from bench.results import Row, at_most
from generated.proto.delivery.partners.v1 import (
    BasketItem,
    CheckProductsRequest,
    CheckProductsResponse,
    ListCatalogResponse,
)
from generated.rest.delivery import pages
from services.partners.messages import catalog_partner_of
from services.partners.usecases.ports import CatalogEntry
from services.runtime.codec import codec

type Work = Callable[[], object]

encode = msgspec.json.Encoder().encode


def rows() -> list[dict[str, Any]]:
    """A page as the database gives it."""
    found = {
        number: {"id": number, "title": title, "brand": brand, "address": address, "products": []}
        for number, title, brand, address in partners()
    }
    for product, title, description, partner, price in products():
        found[partner]["products"].append(  # type: ignore[attr-defined]
            {
                "id": product,
                "title": title,
                "description": description,
                "picture_url": None,
                "price": price,
                "currency": "USD",
            }
        )
    return [{**row, "products_truncated": False} for row in found.values()]


def ours(found: Sequence[dict[str, Any]]) -> bytes:
    """Rows to a page on the wire to JSON, as partners and the gateway do it."""
    items = [catalog_partner_of(CatalogEntry(**row)) for row in found]
    wire = codec().pack(ListCatalogResponse, items=items, next_page_token="next").data
    return encode(codec().read(ListCatalogResponse, wire, pages.catalog_page))


def by_hand(found: Sequence[dict[str, Any]]) -> bytes:
    """The same by google.protobuf's messages, dicts and msgspec."""
    response = types("catalog")[1]
    wire = response(items=found, next_page_token="next").SerializeToString()
    page = response.FromString(wire)
    items = []
    for partner in page.items:
        shown = []
        for product in partner.products:
            made = {"id": product.id, "title": product.title, "description": product.description}
            if product.HasField("picture_url"):
                made["picture_url"] = product.picture_url
            shown.append({**made, "price": product.price, "currency": product.currency})
        items.append(
            {
                "id": partner.id,
                "title": partner.title,
                "brand": partner.brand,
                "address": partner.address,
                "products": shown,
                "products_truncated": partner.products_truncated,
            }
        )
    return encode({"items": items, "next_page_token": page.next_page_token})


def cpu_of(work: Work, times: int) -> float:
    """Processor seconds of so many runs."""
    began = time.process_time()
    for _ in range(times):
        work()
    return time.process_time() - began


def page(repeats: int) -> Row:
    """A list of 200 products."""
    found = rows()
    if ours(found) != by_hand(found):
        raise AssertionError("they do not make the same page")
    contenders: list[Work] = [lambda: ours(found), lambda: by_hand(found)]
    ratios = []
    for _ in range(repeats):
        order = random.sample(range(2), 2)
        took = {index: cpu_of(contenders[index], 200) for index in order}
        ratios.append(took[0] / took[1])
    return at_most("messages: rows → protobuf → JSON of 200 products, beside protobuf + msgspec by hand", 1.2, ratios)


async def calls(repeats: int, times: int) -> Row:
    """A small RPC over grpc.aio on a unix socket, with betterproto2's messages and with google.protobuf's."""
    answer = check()
    request_type, response_type = types("check")
    said = {name: basket()[name] for name in ("partner_id", "items", "total_amount", "currency")}

    async def better(data: bytes, _: Any) -> bytes:
        codec().decode(CheckProductsRequest, data)
        return codec().encode(codec().decode(CheckProductsResponse, answer))

    async def google(_: Any, __: Any) -> Any:
        return response_type.FromString(answer)

    async with _server({"better": (better, {}), "google": (google, _both(request_type, response_type))}) as channel:
        ours_call: Any = channel.unary_unary("/better/Check")
        google_call = channel.unary_unary(
            "/google/Check",
            request_serializer=request_type.SerializeToString,
            response_deserializer=response_type.FromString,
        )

        async def by_better() -> None:
            request = CheckProductsRequest(
                partner_id=said["partner_id"],
                items=[BasketItem(**item) for item in said["items"]],
                total_amount=said["total_amount"],
                currency=said["currency"],
            )
            codec().decode(CheckProductsResponse, await ours_call(codec().encode(request)))

        async def by_google() -> None:
            await google_call(request_type(**said))

        ratios = []
        for _ in range(repeats):
            took = {}
            for index in random.sample(range(2), 2):
                took[index] = await _time_of((by_better, by_google)[index], times)
            ratios.append(took[0] / took[1])
    return at_most("messages: a small RPC with betterproto2, beside google.protobuf", 1.1, ratios)


def _both(request: Any, response: Any) -> dict[str, Any]:
    return {"request_deserializer": request.FromString, "response_serializer": response.SerializeToString}


async def _time_of(call: Callable[[], Awaitable[None]], times: int) -> float:
    began = time.process_time()
    for _ in range(times):
        await call()
    return time.process_time() - began


class _server:  # noqa: N801 (read as a function)
    """A server of methods named Check, and a channel to it."""

    def __init__(self, services: dict[str, tuple[Any, dict[str, Any]]]) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._server = grpc.aio.server()
        for name, (method, how) in services.items():
            handler = grpc.unary_unary_rpc_method_handler(method, **how)
            self._server.add_registered_method_handlers(name, {"Check": handler})
        self._target = f"unix:{Path(self._folder.name) / 's'}"
        self._server.add_insecure_port(self._target)

    async def __aenter__(self) -> grpc.aio.Channel:
        await self._server.start()
        self._channel = grpc.aio.insecure_channel(self._target)
        return self._channel

    async def __aexit__(self, *_: object) -> None:
        await self._channel.close()
        await self._server.stop(1)
        self._folder.cleanup()
