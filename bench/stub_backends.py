"""Stub backends for isolated measurements, with encoded responses that are the same for every target."""

from typing import Any

from bench.baselines.messages import get_message_types, get_rpc_path
from bench.mesh import FIRST_PARTNER_ID, build_basket, generate_partners, generate_products


def encode_catalog_page() -> bytes:
    """Return an encoded page of 20 partners with 10 products each."""
    page = get_message_types("catalog")[1](next_page_token="next")
    for number, title, brand, address in generate_partners():
        page.items.add(id=number, title=title, brand=brand, address=address)
    for product, title, description, partner, price in generate_products():
        page.items[partner - FIRST_PARTNER_ID].products.add(
            id=product, title=title, description=description, price=price, currency="USD"
        )
    encoded: bytes = page.SerializeToString()
    return encoded


def encode_priced_basket() -> bytes:
    """Return an encoded priced basket."""
    basket = build_basket()
    prices = {product: (title, price) for product, title, _, _, price in generate_products()}
    items = [
        {**item, "title": prices[item["product_id"]][0], "price": prices[item["product_id"]][1]}
        for item in basket["items"]
    ]
    partner = {"id": FIRST_PARTNER_ID, "title": f"Partner {FIRST_PARTNER_ID}", "brand": "Bench & Sons"}
    response = get_message_types("check")[1](
        partner=partner, items=items, total_amount=basket["total_amount"], currency="USD"
    )
    encoded: bytes = response.SerializeToString()
    return encoded


def encode_banks() -> bytes:
    """Return an encoded page with the bank of the basket."""
    page = get_message_types("banks")[1]()
    page.items.add(id=build_basket()["bank_id"])
    encoded: bytes = page.SerializeToString()
    return encoded


class StubChannel:
    """gRPC channel that returns stub responses immediately."""

    def __init__(self) -> None:
        self._responses = {
            get_rpc_path("catalog"): encode_catalog_page(),
            get_rpc_path("check"): encode_priced_basket(),
            get_rpc_path("banks"): encode_banks(),
        }

    def unary_unary(self, method: str, request_serializer: Any = bytes, response_deserializer: Any = bytes) -> Any:
        """Return a callable for an RPC."""
        response = self._responses.get(method, b"")

        async def call(request: Any, **_: Any) -> Any:
            request_serializer(request)
            return response_deserializer(response)

        return call

    def unary_stream(self, _: str) -> None:
        """Return nothing: streaming RPCs are not measured."""


class StubCache:
    """Cache that stores nothing."""

    def set(self, *_: object, **__: object) -> bool:
        """Return True, as the Memcached client does on success."""
        return True
