"""What stubbed backends answer, as bytes on the wire: the same for everybody whose door is measured alone."""

from typing import Any

from bench.mesh import FIRST, basket, partners, products
from bench.peers.messages import path, types


def catalog() -> bytes:
    """A page of 20 partners with 10 products each."""
    page = types("catalog")[1](next_page_token="next")
    for number, title, brand, address in partners():
        page.items.add(id=number, title=title, brand=brand, address=address)
    for product, title, description, partner, price in products():
        page.items[partner - FIRST].products.add(
            id=product, title=title, description=description, price=price, currency="USD"
        )
    wire: bytes = page.SerializeToString()
    return wire


def check() -> bytes:
    """A priced basket."""
    asked = basket()
    prices = {product: (title, price) for product, title, _, _, price in products()}
    items = [
        {**item, "title": prices[item["product_id"]][0], "price": prices[item["product_id"]][1]}
        for item in asked["items"]
    ]
    partner = {"id": FIRST, "title": f"Partner {FIRST}", "brand": "Bench & Sons"}
    answer = types("check")[1](partner=partner, items=items, total_amount=asked["total_amount"], currency="USD")
    wire: bytes = answer.SerializeToString()
    return wire


class Channel:
    """Answers at once, whatever is asked."""

    def __init__(self) -> None:
        self._answers = {path("catalog"): catalog(), path("check"): check()}

    def unary_unary(self, method: str, request_serializer: Any = bytes, response_deserializer: Any = bytes) -> Any:
        """A call that takes no time."""
        answer = self._answers.get(method, b"")

        async def call(request: Any, **_: Any) -> Any:
            request_serializer(request)
            return response_deserializer(answer)

        return call

    def unary_stream(self, _: str) -> None:
        """Nobody streams here."""


class Cache:
    """Keeps nothing."""

    def set(self, *_: object, **__: object) -> bool:
        """As Memcached says it."""
        return True
