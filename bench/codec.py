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

from bench.baselines.messages import get_message_types
from bench.mesh import build_basket, generate_partners, generate_products
from bench.results import Row, require_at_most
from bench.stub_backends import encode_priced_basket
from generated.proto.delivery.partners.v1 import (
    BasketItem,
    CheckProductsRequest,
    CheckProductsResponse,
    ListCatalogResponse,
)
from generated.rest.delivery import pages
from services.partners.entrypoints.proto_mapping import catalog_partner_to_proto
from services.partners.usecases.ports import CatalogEntry
from services.runtime.rpc.codec import get_codec

type Work = Callable[[], object]

encode_json = msgspec.json.Encoder().encode


def build_rows() -> list[dict[str, Any]]:
    """A page as the database gives it."""
    found = {
        number: {"id": number, "title": title, "brand": brand, "address": address, "products": []}
        for number, title, brand, address in generate_partners()
    }
    for product, title, description, partner, price in generate_products():
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


def encode_with_codec(catalog_rows: Sequence[dict[str, Any]]) -> bytes:
    """Rows to a page on the wire to JSON, as partners and the gateway do it."""
    items = [catalog_partner_to_proto(CatalogEntry(**row)) for row in catalog_rows]
    wire = get_codec().encode_fields(ListCatalogResponse, items=items, next_page_token="next").data
    return encode_json(get_codec().decode_with(ListCatalogResponse, wire, pages.catalog_page))


def encode_by_hand(catalog_rows: Sequence[dict[str, Any]]) -> bytes:
    """The same by google.protobuf's messages, dicts and msgspec."""
    response = get_message_types("catalog")[1]
    wire = response(items=catalog_rows, next_page_token="next").SerializeToString()
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
    return encode_json({"items": items, "next_page_token": page.next_page_token})


def measure_cpu_s(work: Work, times: int) -> float:
    """Processor seconds of so many runs."""
    began = time.process_time()
    for _ in range(times):
        work()
    return time.process_time() - began


def measure_page(repeats: int) -> Row:
    """A list of 200 products."""
    found = build_rows()
    if encode_with_codec(found) != encode_by_hand(found):
        raise AssertionError("they do not make the same page")
    contenders: list[Work] = [lambda: encode_with_codec(found), lambda: encode_by_hand(found)]
    ratios = []
    for _ in range(repeats):
        order = random.sample(range(2), 2)
        took = {index: measure_cpu_s(contenders[index], 200) for index in order}
        ratios.append(took[0] / took[1])
    return require_at_most(
        "messages: rows → protobuf → JSON of 200 products, beside protobuf + msgspec by hand", 1.2, ratios
    )


async def measure_rpc(repeats: int, times: int) -> Row:
    """A small RPC over grpc.aio on a unix socket, with betterproto2's messages and with google.protobuf's."""
    answer = encode_priced_basket()
    request_type, response_type = get_message_types("check")
    said = {name: build_basket()[name] for name in ("partner_id", "items", "total_amount", "currency")}

    async def better(data: bytes, _: Any) -> bytes:
        get_codec().decode(CheckProductsRequest, data)
        return get_codec().encode(get_codec().decode(CheckProductsResponse, answer))

    async def google(_: Any, __: Any) -> Any:
        return response_type.FromString(answer)

    async with _grpc_server(
        {"better": (better, {}), "google": (google, _message_codecs(request_type, response_type))}
    ) as channel:
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
            get_codec().decode(CheckProductsResponse, await ours_call(get_codec().encode(request)))

        async def by_google() -> None:
            await google_call(request_type(**said))

        ratios = []
        for _ in range(repeats):
            took = {}
            for index in random.sample(range(2), 2):
                took[index] = await _measure_call_cpu_s((by_better, by_google)[index], times)
            ratios.append(took[0] / took[1])
    return require_at_most("messages: a small RPC with betterproto2, beside google.protobuf", 1.1, ratios)


def _message_codecs(request: Any, response: Any) -> dict[str, Any]:
    return {"request_deserializer": request.FromString, "response_serializer": response.SerializeToString}


async def _measure_call_cpu_s(call: Callable[[], Awaitable[None]], times: int) -> float:
    began = time.process_time()
    for _ in range(times):
        await call()
    return time.process_time() - began


class _grpc_server:  # noqa: N801 (read as a function)
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
