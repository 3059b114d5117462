"""CPU time of the message codec compared with google.protobuf, interleaved in the same process."""

import random
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

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
from services.partners.domain.partners import CatalogEntry
from services.partners.entrypoints.proto_mapping import catalog_partner_to_proto
from services.runtime.rpc.codec import get_codec

type Work = Callable[[], object]


class CpuRuns(NamedTuple):
    """CPU seconds of the codec of the services, and of google.protobuf, one per repeat."""

    own: list[float]
    baseline: list[float]

    def compute_ratios(self) -> list[float]:
        """Return the ratio of each repeat."""
        return [own / baseline for own, baseline in zip(self.own, self.baseline, strict=True)]


encode_json = msgspec.json.Encoder().encode


def build_rows() -> list[dict[str, Any]]:
    """Return a page of catalog rows as the database returns them."""
    partners: dict[int, dict[str, Any]] = {
        number: {"id": number, "title": title, "brand": brand, "address": address, "products": []}
        for number, title, brand, address in generate_partners()
    }
    for product, title, description, partner, price in generate_products():
        partners[partner]["products"].append(
            {
                "id": product,
                "title": title,
                "description": description,
                "picture_url": None,
                "price": price,
                "currency": "USD",
            }
        )
    state = {"products_truncated": False, "is_open": True, "delivery_fee": 250, "delivery_fee_currency": "USD"}
    return [{**row, **state} for row in partners.values()]


def encode_with_codec(catalog_rows: Sequence[dict[str, Any]]) -> bytes:
    """Convert rows to protobuf and to JSON as the services do."""
    items = [catalog_partner_to_proto(CatalogEntry(picture_url=None, **row)) for row in catalog_rows]
    wire = get_codec().encode_fields(ListCatalogResponse, items=items, next_page_token="next").data
    return encode_json(get_codec().decode_with(ListCatalogResponse, wire, pages.catalog_page))


def encode_by_hand(catalog_rows: Sequence[dict[str, Any]]) -> bytes:
    """Convert rows to protobuf and to JSON with google.protobuf messages, dicts and msgspec."""
    response = get_message_types("catalog")[1]
    wire = response(items=catalog_rows, next_page_token="next").SerializeToString()
    page = response.FromString(wire)
    items = []
    for partner in page.items:
        products = []
        for product in partner.products:
            fields = {"id": product.id, "title": product.title, "description": product.description}
            if product.HasField("picture_url"):
                fields["picture_url"] = product.picture_url
            products.append({**fields, "price": product.price, "currency": product.currency})
        items.append(
            {
                "id": partner.id,
                "title": partner.title,
                "brand": partner.brand,
                "address": partner.address,
                "products": products,
                "products_truncated": partner.products_truncated,
                "is_open": partner.is_open,
                "delivery_fee": partner.delivery_fee,
                "delivery_fee_currency": partner.delivery_fee_currency,
            }
        )
    return encode_json({"items": items, "next_page_token": page.next_page_token})


def measure_cpu_s(work: Work, times: int) -> float:
    """Return the CPU seconds of a number of runs."""
    started_at = time.process_time()
    for _ in range(times):
        work()
    return time.process_time() - started_at


def measure_page(repeats: int) -> Row:
    """Compare the conversion of a page of 200 products."""
    return require_at_most(
        "messages: rows → protobuf → JSON of 200 products vs hand-written protobuf + msgspec",
        1.2,
        measure_page_cpu(repeats, 200).compute_ratios(),
    )


def measure_page_cpu(repeats: int, times: int) -> CpuRuns:
    """Measure the conversion of a page of 200 products, a number of times in each repeat."""
    rows = build_rows()
    if encode_with_codec(rows) != encode_by_hand(rows):
        raise AssertionError("the two encoders return different pages")
    encoders: list[Work] = [lambda: encode_with_codec(rows), lambda: encode_by_hand(rows)]
    runs = CpuRuns([], [])
    for _ in range(repeats):
        for index in random.sample(range(2), 2):
            runs[index].append(measure_cpu_s(encoders[index], times))
    return runs


async def measure_rpc(repeats: int, times: int) -> Row:
    """Compare a small RPC over grpc.aio on a Unix socket with betterproto2 and with google.protobuf messages."""
    runs = await measure_rpc_cpu(repeats, times)
    return require_at_most("messages: small RPC with betterproto2 vs google.protobuf", 1.1, runs.compute_ratios())


async def measure_rpc_cpu(repeats: int, times: int) -> CpuRuns:
    """Measure a small RPC over grpc.aio with both kinds of messages, a number of times in each repeat."""
    response = encode_priced_basket()
    request_type, response_type = get_message_types("check")
    basket = {name: build_basket()[name] for name in ("partner_id", "items", "total_amount", "currency")}

    async def serve_betterproto2(data: bytes, _: Any) -> bytes:
        get_codec().decode(CheckProductsRequest, data)
        return get_codec().encode(get_codec().decode(CheckProductsResponse, response))

    async def serve_google_protobuf(_: Any, __: Any) -> Any:
        return response_type.FromString(response)

    async with _grpc_server(
        {
            "better": (serve_betterproto2, {}),
            "google": (serve_google_protobuf, _build_message_codecs(request_type, response_type)),
        }
    ) as channel:
        call_betterproto2: Any = channel.unary_unary("/better/Check")
        call_google_protobuf = channel.unary_unary(
            "/google/Check",
            request_serializer=request_type.SerializeToString,
            response_deserializer=response_type.FromString,
        )

        async def run_betterproto2() -> None:
            request = CheckProductsRequest(
                partner_id=basket["partner_id"],
                items=[BasketItem(**item) for item in basket["items"]],
                total_amount=basket["total_amount"],
                currency=basket["currency"],
            )
            get_codec().decode(CheckProductsResponse, await call_betterproto2(get_codec().encode(request)))

        async def run_google_protobuf() -> None:
            await call_google_protobuf(request_type(**basket))

        runs = CpuRuns([], [])
        for _ in range(repeats):
            for index in random.sample(range(2), 2):
                runs[index].append(await _measure_call_cpu_s((run_betterproto2, run_google_protobuf)[index], times))
    return runs


def _build_message_codecs(request: Any, response: Any) -> dict[str, Any]:
    return {"request_deserializer": request.FromString, "response_serializer": response.SerializeToString}


async def _measure_call_cpu_s(call: Callable[[], Awaitable[None]], times: int) -> float:
    started_at = time.process_time()
    for _ in range(times):
        await call()
    return time.process_time() - started_at


class _grpc_server:  # noqa: N801 (used like a function)
    """A server of methods named Check, with a channel to it."""

    def __init__(self, services: dict[str, tuple[Any, dict[str, Any]]]) -> None:
        self._directory = tempfile.TemporaryDirectory()
        self._server = grpc.aio.server()
        for name, (method, codecs) in services.items():
            handler = grpc.unary_unary_rpc_method_handler(method, **codecs)
            self._server.add_registered_method_handlers(name, {"Check": handler})
        self._target = f"unix:{Path(self._directory.name) / 's'}"
        self._server.add_insecure_port(self._target)

    async def __aenter__(self) -> grpc.aio.Channel:
        await self._server.start()
        self._channel = grpc.aio.insecure_channel(self._target)
        return self._channel

    async def __aexit__(self, *_: object) -> None:
        await self._channel.close()
        await self._server.stop(1)
        self._directory.cleanup()
